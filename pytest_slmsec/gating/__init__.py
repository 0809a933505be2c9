"""The pytest side of the gate."""
