"""A run as a bundle of files that can be checked with Python's standard library alone."""
