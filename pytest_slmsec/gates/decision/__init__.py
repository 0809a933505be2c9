"""Verdicts on a benchmark, a model and a suite."""
