"""Recorded answers: files that other runs and other harnesses wrote, scored without inference."""
