"""Every intrinsic of the kernels has its meaning beside it, in plain Python."""

import importlib
import inspect
import pkgutil

import pytest
from numba.core.extending import _Intrinsic

from corpuscurate import kernels
from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.bits import packs_bytes, packs_bytes_plain, packs_numbers, packs_numbers_plain

MODULES = [
    importlib.import_module(each.name) for each in pkgutil.walk_packages(kernels.__path__, "corpuscurate.kernels.")
]
INTRINSICS = {
    (module.__name__, name): value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, _Intrinsic) and value._defn.__module__ == module.__name__
}


def test_intrinsics_are_found():
    names = {name for _, name in INTRINSICS}
    assert {"trailing_zeros", "fold_ascii", "next_hits", "hash_words", "prefetch", "add_eight"} <= names


@pytest.mark.parametrize(("module", "name"), INTRINSICS)
def test_a_plain_function_with_the_same_arguments_stands_beside_it(module, name):
    plain = getattr(importlib.import_module(module), f"{name}_plain")
    assert plain.__doc__
    own = list(inspect.signature(INTRINSICS[module, name]._defn).parameters)[1:]
    assert list(inspect.signature(plain).parameters) == own


@uncounted
def packs():
    return packs_bytes(), packs_numbers()


def test_both_ways_of_packing_are_known_while_compiling():
    """Whichever way is compiled here, the plain one is that of every processor."""
    assert {type(each) for each in packs()} == {bool}
    assert (packs_bytes_plain(), packs_numbers_plain()) == (False, False)
