"""How many threads the libraries under a block of work use. It decides how fast they are, never what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def one_pool(threads: int) -> Iterator[None]:
    """Limit BLAS, OpenMP and FAISS to `threads` threads within the block, so that workers do not compete for cores."""
    with suppress(ImportError):
        import faiss

        faiss.omp_set_num_threads(threads)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(threads):
        yield
