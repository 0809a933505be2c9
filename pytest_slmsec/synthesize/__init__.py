"""Synthetic training data: a tree of topics, questions and answers by a teacher model, filters with their counts."""
