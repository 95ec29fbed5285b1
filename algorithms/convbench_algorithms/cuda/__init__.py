"""Convolution on NVIDIA cards: each algorithm is a .py, and the .cu with the kernels that it launches."""
