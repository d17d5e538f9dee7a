"""Keys that make tokens of personal data: equal values get equal tokens, and without the key nobody can tell a value.

A token is HMAC-SHA256 of kind and value, cut to 64 bits, in the letters a to p: no digit, so that a later search for
numbers finds nothing in it. A plain hash would not do: there are so few telephone, card and IP numbers that all of
them can be tried. For the same reason a run records of the key a fingerprint that is slow to compute (scrypt) and 64
bits short; a key must have 16 bytes, and should be random (`openssl rand -hex 32`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import lru_cache
from pathlib import Path

from corpuscurate.core.errors import InputError, RecipeError

FEWEST_BYTES = 16
_LETTERS = "abcdefghijklmnop"
_SALT = b"corpuscurate: fingerprint of a key for tokens"


def key_from(variable: str | None, path: str | None) -> bytes | None:
    """The key in a variable of the environment or in a file, white space around it left out; None where neither is
    named. Raises RecipeError or InputError, which never tell the key."""
    if variable is not None:
        text = os.environ.get(variable, "").strip()
        if not text:
            raise RecipeError(
                f"the variable {variable} of the environment, which should hold the key for tokens, is not set. Set it"
                " (`openssl rand -hex 32` makes one), or leave `key_variable` out for fixed replacements"
            )
        return _checked(text.encode(), f"the variable {variable} of the environment")
    if path is not None:
        try:
            return _checked(Path(path).read_bytes().strip(), f"the file {path!r}")
        except OSError as error:
            raise InputError(
                f"the file {path!r}, which should hold the key for tokens, cannot be read: {error.strerror or error}"
            ) from None
    return None


def _checked(key: bytes, where: str) -> bytes:
    if len(key) < FEWEST_BYTES:
        raise RecipeError(
            f"the key for tokens in {where} has {len(key)} bytes: who tries all keys that short can read the tokens."
            f" It must have {FEWEST_BYTES} or more; `openssl rand -hex 32` makes one"
        )
    return key


@lru_cache(4)
def fingerprint(key: bytes) -> str:
    """What a run records of a key: equal for equal keys alone."""
    return "scrypt:" + hashlib.scrypt(key, salt=_SALT, n=1 << 14, r=8, p=1, dklen=8).hex()


def token(key: bytes, kind: str, value: str) -> str:
    """The 16 letters that stand for a value of a kind."""
    digest = hmac.digest(key, f"{kind}\0{value}".encode(), "sha256")[:8]
    return "".join(_LETTERS[byte >> 4] + _LETTERS[byte & 15] for byte in digest)
