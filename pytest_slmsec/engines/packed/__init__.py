"""Packed batches: common prefixes are computed once, prompts share rows without padding, choices form a tree."""
