"""Models run: windows executed, answers journaled."""
