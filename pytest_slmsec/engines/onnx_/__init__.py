"""Engines for models exported to ONNX, run by onnxruntime."""
