"""Sentinels: checks that make silently wrong numbers loud. One module each, and one line in `registry`."""
