"""Inference with numpy and the compiled kernels, without torch."""
