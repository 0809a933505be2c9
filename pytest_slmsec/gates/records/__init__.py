"""Runs that the gate compares: live, stored, paired."""
