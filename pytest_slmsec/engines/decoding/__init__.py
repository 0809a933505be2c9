"""Padded batches: forward passes with a cache, greedy generation, log-probabilities of choices."""
