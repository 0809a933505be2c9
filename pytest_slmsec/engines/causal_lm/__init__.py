"""Causal language models in memory, in every weight format."""
