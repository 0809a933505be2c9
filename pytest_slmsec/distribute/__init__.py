"""Several processes (pytest-xdist): what they share out, which GPU each has."""
