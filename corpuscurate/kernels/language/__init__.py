"""Languages and scripts: kernels."""
