"""Models exported to ONNX, run by onnxruntime."""
