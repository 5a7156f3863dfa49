"""What restores: numpy and the compiled kernels, without torch."""
