"""Sentinels: checks for signs that a number is wrong without any error. One module each, and one line in `registry`."""
