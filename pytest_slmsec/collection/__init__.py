"""Test cases, their ids, and the windows they are answered in."""
