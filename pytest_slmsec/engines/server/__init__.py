"""Models behind an HTTP server: OpenAI-compatible endpoints and Ollama."""
