"""The command `slmsec`: one module a verb."""
