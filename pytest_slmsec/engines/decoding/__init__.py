"""Padded batches: forward passes, greedy generation, scored choices."""
