"""Probes of what the kernels use of Numba and LLVM that neither documents.

Each test says in a sentence which option a new version no longer honours, and shows beside it that the option is still
needed: without it, the compiled code has what it leaves out. Before `numba` and `llvmlite` are allowed a newer version
in pyproject.toml, these tests and the rest of tests/kernels pass with it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from numba.core import caching, config
from numba.core.registry import cpu_target

from corpuscurate.kernels import compile as compile_module
from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.simd.bits import has

SEE = f"(Numba {numba.__version__}, llvmlite {llvmlite.__version__}): see kernels/compile.py"


@pytest.fixture(autouse=True)
def uncached(monkeypatch):
    """Compiled code that comes from the cache has no LLVM text."""
    monkeypatch.setattr(compile_module, "cache_folder", lambda: "")


class Two(NamedTuple):
    left: np.ndarray
    right: np.ndarray


def slices(two, value):
    for at in range(len(two.left)):
        part = two.left[at:]
        part[0] = value
        two.right[at] = part[0] + 1
    return value


ARGUMENTS = Two(np.zeros(3), np.zeros(3)), 1.0


def code(function, *arguments):
    """LLVM's text of a compiled function, after all optimisation."""
    function(*arguments)
    return next(iter(function.inspect_llvm().values()))


def test_nrt_off_leaves_reference_counts_out():
    """`_nrt=False` of `uncounted` and `inlined`."""
    counts = re.compile(r"call void @NRT_(inc|dec)ref")
    assert not counts.search(code(uncounted(slices), *ARGUMENTS)), f"_nrt=False no longer leaves counts out {SEE}"
    assert counts.search(code(kernel(slices), *ARGUMENTS)), (
        f"arrays taken out of a tuple are no longer counted, so `uncounted` is not needed any more {SEE}"
    )


def test_no_cfunc_wrapper_leaves_the_wrapper_out():
    wrapper = re.compile(r"define .*@cfunc\.")
    assert not wrapper.search(code(kernel(slices), *ARGUMENTS)), f"no_cfunc_wrapper is no longer honoured {SEE}"
    assert wrapper.search(code(numba.njit(slices), *ARGUMENTS)), (
        f"no wrapper for calls from C is made any more, so no_cfunc_wrapper is not needed {SEE}"
    )


def long_step(a, b, i):
    """Long enough that LLVM leaves a call to it where it is called twice."""
    x = a[i]
    for j in range(7):
        x = x * b[j] + a[(i + j) % 5]
        while x > 1e9:
            x = x / 3 - b[(i * j) % 7]
            if x < 5:
                x += a[j % 3] * b[i % 3]
    for j in range(5):
        y = x + a[j]
        while y > 1e6:
            y = y / 5 - a[(i * j) % 4]
            if y < 7:
                y += b[j % 3] * a[i % 3]
        x += y * b[j]
    return x


def calling(step):
    def calls(a, b):
        return step(a, b, 1) + step(b, a, 2) + step(a, a, 3)

    return kernel(calls)


def test_forceinline_leaves_no_call():
    a, b = np.ones((2, 10))
    call = re.compile(r"call .*long_step")
    assert not call.search(code(calling(inlined(long_step)), a, b)), f"forceinline is no longer honoured {SEE}"
    assert call.search(code(calling(uncounted(long_step)), a, b)), (
        f"LLVM inlines a long step by itself, so `inlined` is not needed for it any more {SEE}"
    )


def test_the_magic_tuple_names_the_features_of_the_processor():
    """`simd.bits.has` reads them there: no public name has what code is made for, NUMBA_CPU_FEATURES included."""
    context = cpu_target.target_context
    features = context.codegen().magic_tuple()[2]
    assert isinstance(features, str), f"codegen().magic_tuple()[2] is no text of features {SEE}"
    if config.CPU_FEATURES is not None:
        assert set(features.split(",")) == set(config.CPU_FEATURES.split(","))
        return
    host = llvm.get_host_cpu_features()
    for name in ("sse2", "avx", "avx2", "avx512f", "avx512vbmi2"):
        assert has(context, name) == host.get(name, False), f"the magic tuple no longer tells of {name} {SEE}"


PREFETCH = """
declare void @llvm.prefetch.p0i8(i8*, i32, i32, i32)
define void @f(i8* %p) {{
  call void @llvm.prefetch.p0i8(i8* %p, i32 0, i32 3, i32 1)
  ret void
}}
"""
COMPRESS = """
declare {v} @llvm.x86.avx512.mask.compress.{name}({v}, {v}, {marks})
define {v} @f({v} %x, {v} %y, {marks} %m) {{
  %r = call {v} @llvm.x86.avx512.mask.compress.{name}({v} %x, {v} %y, {marks} %m)
  ret {v} %r
}}
"""
FUNNEL = """
declare <8 x i64> @llvm.fshr.v8i64(<8 x i64>, <8 x i64>, <8 x i64>)
define <8 x i64> @f(<8 x i64> %x, <8 x i64> %y) {{
  %r = call <8 x i64> @llvm.fshr.v8i64(<8 x i64> %x, <8 x i64> %x, <8 x i64> %y)
  ret <8 x i64> %r
}}
"""


@pytest.mark.parametrize(
    ("text", "parts", "instruction"),
    [
        (PREFETCH, {}, "prefetch"),
        (COMPRESS, {"name": "v64i8", "v": "<64 x i8>", "marks": "<64 x i1>"}, "vpcompressb"),
        (COMPRESS, {"name": "v8i64", "v": "<8 x i64>", "marks": "<8 x i1>"}, "vpcompressq"),
        (FUNNEL, {}, "vprorvq"),
    ],
)
def test_llvm_knows_the_names_that_intrinsics_call(text, parts, instruction):
    """Compiled for a processor with AVX-512, on any machine of its kind."""
    if "x86_64" not in llvm.get_process_triple():
        pytest.skip("LLVM is built for another kind of processor here")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    try:
        module = llvm.parse_assembly(text.format(**parts))
        module.verify()
    except RuntimeError as error:
        raise AssertionError(f"LLVM no longer takes a name that kernels/simd calls {SEE}: {error}") from error
    machine = llvm.Target.from_default_triple().create_target_machine(features="+avx512f,+avx512bw,+avx512vbmi2")
    assembly = machine.emit_assembly(module)
    assert instruction in assembly, f"LLVM no longer makes {instruction} of it {SEE}"


def test_the_cache_has_the_parts_that_are_overridden():
    """`compile._CheckedFile` and `_HelpfulCache` stand in Numba's own places."""
    for owner, names in [
        (caching.IndexDataCacheFile, ["_dump", "_load_index", "_load_data", "_data_path", "save", "load"]),
        (caching.FunctionCache, ["load_overload", "save_overload", "disable"]),
    ]:
        missing = [name for name in names if not callable(getattr(owner, name, None))]
        assert not missing, f"{owner.__name__} no longer has {', '.join(missing)} {SEE}"
    assert isinstance(config.CACHE_DIR, str), f"the folder of the cache is no longer named by config.CACHE_DIR {SEE}"


def test_the_cache_looks_at_a_kernels_own_file_only(tmp_path, monkeypatch):
    """Why the folder is named after all sources (numba#4807)."""
    (tmp_path / "probe_helper.py").write_text("def helper(x):\n    return x\n")
    (tmp_path / "probe_kernel.py").write_text(
        "import numba\nfrom probe_helper import helper\nhelp = numba.njit(helper)\ndef f(x):\n    return help(x)\n"
    )
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    import probe_kernel

    def stamp():
        return caching.FunctionCache(probe_kernel.f)._impl.locator.get_source_stamp()

    before = stamp()
    (tmp_path / "probe_helper.py").write_text("def helper(x):\n    return x + 12345\n")
    assert stamp() == before, f"Numba's cache looks at more than a kernel's own file now {SEE}"
    with (tmp_path / "probe_kernel.py").open("a") as file:
        file.write("# changed\n")
    assert stamp() != before, f"Numba's cache no longer looks at a kernel's own file {SEE}"
