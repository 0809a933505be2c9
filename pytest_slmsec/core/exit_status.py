"""Exit statuses of our own, beside those of `pytest.ExitCode`."""

NOTHING_JUDGED = 10
"""The run was to judge or to measure, and could not. pytest itself uses 0 to 6."""
