"""Models run by vLLM in this process."""
