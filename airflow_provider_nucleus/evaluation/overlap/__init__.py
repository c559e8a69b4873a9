"""Overlap kernels: one module per kind of geometry, and the one function that chooses between them."""
