"""Hot loops over NumPy buffers, compiled by Numba; they know nothing of Arrow, YAML or processes."""
