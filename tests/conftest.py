"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("corpuscurate", deadline=None)  # the first example compiles a kernel
settings.load_profile("corpuscurate")
