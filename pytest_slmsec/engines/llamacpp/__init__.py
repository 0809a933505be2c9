"""The engine for GGUF files, over llama.cpp."""
