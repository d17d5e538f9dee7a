"""A model of torch as a file of ONNX, made once and kept in the user's cache; nothing is written beside the model.

torch's exporter traces the graph with free sizes of batches and windows. What tells where and when it was traced is
taken out, so that the same model and versions give the same bytes. Before a file is kept, ONNX Runtime must give the
rows of torch for windows of several shapes. For int8 the weights of matrix products are quantised by output channel,
and activations are quantised as they come (dynamic quantisation). Weights have 7 bits, since the 8-bit products of
processors without VNNI would overflow 16 bits, and decisions should not depend on that.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import read_sealed, write_sealed
from corpuscurate.core.digests import digest_file, fingerprint
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.stage import package_version
from corpuscurate.kernels.compile import cache_folder
from corpuscurate.methods.embed.precision import ONNX_PACKAGES, Precision
from corpuscurate.methods.embed.tokens import Facts

VERSION = 1
"""Raise it when the files change for the same model and packages."""
MODEL, SEAL, OUTPUT = "model.onnx", "files.json", "rows"
EXTERNAL_BYTES = 1 << 30
"""Bytes of weights from which a quantised file keeps them in a file of its own: a file of ONNX ends at 2 GiB."""
ALIKE = 1e-3
"""Greatest difference of a number to torch's, against the greatest number: float32 gives about 1e-6."""
PROBES = ((1, 64), (3, 7), (2, 19))
"""Rows and lengths of the windows that torch and ONNX Runtime must agree on."""


class Exportable(NamedTuple):
    """A model of torch. run: rows from input_ids, attention_mask and maybe token_type_ids; module: what has the
    weights that it uses; longest: tokens of a window."""

    module: Any
    run: Callable[[dict[str, Any]], Any]
    facts: Facts
    longest: int


def onnx_file(name: str, digest: str, precision: Precision, load: Callable[[], Exportable]) -> Path:
    """The file of a model, from the cache where it was made before. name: for messages; digest: of its files and all
    else that the exported rows depend on; load: the model, where it must be exported.

    Raises RecipeError for a model that cannot be exported.
    """
    folder = _home() / fingerprint([VERSION, digest, precision, {each: package_version(each) for each in _MADE_BY}])
    with _locked(folder.with_suffix(".lock")):
        if not _is_whole(folder):
            part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
            try:
                if precision == "int8":
                    _quantise(onnx_file(name, digest, "float32", load), part / MODEL)
                else:
                    _export(name, load(), part / MODEL)
                write_sealed(part / SEAL, {path.name: digest_file(path) for path in part.iterdir()}, durable=False)
                shutil.rmtree(folder, ignore_errors=True)  # a damaged one
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return folder / MODEL


_MADE_BY = (*ONNX_PACKAGES, "torch", "transformers")
_KEPT: list[tempfile.TemporaryDirectory[str]] = []


@cache
def _home() -> Path:
    """The folder of exported models: in the user's cache, or for this process alone where that cannot be written."""
    cache_of_user = cache_folder()
    if cache_of_user:
        folder = Path(cache_of_user).parent / "onnx"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        except OSError:
            pass
    _KEPT.append(tempfile.TemporaryDirectory(prefix="corpuscurate-onnx-"))
    return Path(_KEPT[-1].name)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time export a model: the others wait and find the file."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_whole(folder: Path) -> bool:
    files = read_sealed(folder / SEAL)
    if not isinstance(files, dict):
        return False
    return all((folder / name).is_file() and digest_file(folder / name) == each for name, each in files.items())


def input_names(facts: Facts) -> list[str]:
    """The inputs of a file: int64[rows, length] each."""
    return ["input_ids", "attention_mask", *(["token_type_ids"] if facts.typed else [])]


def inputs(facts: Facts, ids: NDArray[np.int32], sizes: NDArray[np.int32]) -> dict[str, NDArray[np.int64]]:
    """The inputs from ids int32[rows, length] and sizes int32[rows]."""
    mask = np.arange(ids.shape[1]) < sizes[:, None]
    found = {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
    return {**found, "token_type_ids": np.zeros(ids.shape, np.int64)} if facts.typed else found


def open_session(path: Path) -> Any:
    """A session of ONNX Runtime with one thread: parallelism is tasks."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan of memory would be kept for each of some hundred shapes
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _export(name: str, model: Exportable, path: Path) -> None:
    import torch

    names = input_names(model.facts)
    window = tuple(torch.from_numpy(each) for each in _probe(model, 3, min(16, model.longest)).values())
    sizes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("length")}
    try:
        with quiet(), torch.inference_mode():
            program = torch.onnx.export(
                _traced(model, names),
                window,
                dynamo=True,
                verbose=False,
                input_names=names,
                output_names=[OUTPUT],
                dynamic_shapes=((sizes,) * len(names),),
            )
            program.save(str(path), external_data=True)
        _strip(path)
        unlike = _difference(model, path)
    except Exception as error:  # the exporter has a dozen kinds, for what a model does that it cannot trace
        first = (str(error).splitlines() or [""])[0]
        raise RecipeError(
            f"the model {name} cannot be exported to ONNX: {type(error).__name__}: {first}. Use `backend: torch`."
        ) from error
    if not unlike <= ALIKE:
        raise RecipeError(
            f"the model {name}, exported to ONNX, gives other rows than torch (numbers differ by {unlike:.2g} of the"
            " greatest), so the file is not used. Use `backend: torch`."
        )


def _traced(model: Exportable, names: list[str]) -> Any:
    """A module of torch whose forward takes the inputs one by one, as the exporter wants it."""
    import torch

    class Traced(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model.module

        def forward(self, *tensors: Any) -> Any:
            return model.run(dict(zip(names, tensors, strict=True)))

    return Traced().eval()


def _probe(model: Exportable, rows: int, length: int) -> Mapping[str, NDArray[np.int64]]:
    """Windows of that length of some tokens, each three quarters as long as the one before."""
    ids = (np.arange(rows * length, dtype=np.int64) * 7919 + 5) % model.facts.size
    sizes = np.maximum(length * 0.75 ** np.arange(rows), 1)
    return inputs(model.facts, ids.reshape(rows, length).astype(np.int32), sizes.astype(np.int32))


def _difference(model: Exportable, path: Path) -> float:
    """The greatest difference to torch, against the greatest number."""
    import torch

    session, worst = open_session(path), 0.0
    for rows, length in PROBES:
        window = _probe(model, rows, min(length, model.longest))
        found = session.run([OUTPUT], dict(window))[0]
        with torch.inference_mode():
            expected = model.run({name: torch.from_numpy(each) for name, each in window.items()}).float().numpy()
        worst = max(worst, float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-9)))
    return worst


def _strip(path: Path) -> None:
    """Take out what tells where the graph was traced."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    for graph in (model.graph, *model.functions):
        _strip_graph(graph)
    model.ClearField("metadata_props")
    path.write_bytes(model.SerializeToString(deterministic=True))


def _strip_graph(graph: Any) -> None:
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                _strip_graph(inner)
    named = ("node", "value_info", "input", "output", "initializer")
    for each in (graph, *(one for name in named for one in getattr(graph, name) if not isinstance(one, str))):
        for field in ("metadata_props", "doc_string"):
            each.ClearField(field)


def _quantise(path: Path, out: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    size = sum(each.stat().st_size for each in path.parent.iterdir())
    with quiet():
        quantize_dynamic(
            str(path),
            str(out),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=size > EXTERNAL_BYTES,
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the warnings and log lines of the exporter and the quantiser to themselves."""
    handlers, before = list(logging.root.handlers), logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        logging.root.handlers[:] = handlers  # `logging.warning` adds one where there is none
