"""Padded batches: forward passes with a cache, generation, log-probabilities of choices."""
