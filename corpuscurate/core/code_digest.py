"""The digest of the code behind a user's class, as it is loaded: what a fingerprint covers besides parameters.

Source files may have changed since they were imported, and a cell or a `python -` has none. So the compiled code
counts: that of the class, of its bases, and of every function, class and constant of the user that it refers to,
through modules of the user too. Another version of Python compiles other code: then what was finished is done again.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import sysconfig
from collections.abc import Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import xxhash

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), range)
_OF_NO_MEANING = (
    "__dict__",
    "__weakref__",
    "__doc__",
    "__module__",
    "__annotations__",
    "__annotate__",
    "__annotate_func__",
    "__annotations_cache__",
    "__firstlineno__",
    "__static_attributes__",
    "__signature__",
    "__abstractmethods__",
    "__parameters__",
    "__dataclass_params__",
)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def code_digest(kind: type) -> str:
    """16 hex digits of the code of a class: see this module."""
    walk = _Walk(kind.__module__.partition(".")[0])
    walk.note(_source(kind))
    walk.value(kind)
    return walk.digest.hexdigest()


def _source(kind: type) -> str:
    """The source of the module in which a class is defined, or of the class where that has no file; "" for none."""
    for where in (sys.modules.get(kind.__module__), kind):
        try:
            return inspect.getsource(where) if where is not None else ""
        except (OSError, TypeError):
            continue
    return ""


class _Walk:
    """Digests what one value leads to. package: the top-level package of the class, the user's wherever it lies."""

    def __init__(self, package: str) -> None:
        self.digest = xxhash.xxh3_64()
        self._package = package
        self._seen: dict[int, Any] = {}  # holds the values: an id stays that of one value

    def note(self, *texts: str) -> None:
        for text in texts:
            self.digest.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))

    def value(self, value: Any) -> None:
        """Digest a value and what it leads to, each once."""
        if isinstance(value, _PLAIN):
            self.note(type(value).__name__, repr(value))
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, CodeType):
            self._code(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, Mapping | tuple | list | set | frozenset):
            self._container(value)
        elif isinstance(value, np.ndarray):
            self.note(str(value.dtype), str(value.shape))
            self.value(value.tolist() if value.dtype.hasobject else value.tobytes())
        else:
            self._object(value)

    def _container(self, value: Any) -> None:
        self.note(type(value).__name__, str(len(value)))
        if isinstance(value, Mapping):
            for key, held in value.items():
                self.value(key)
                self.value(held)
        else:
            for held in sorted(value, key=repr) if isinstance(value, set | frozenset) else value:
                self.value(held)

    def _object(self, value: Any) -> None:
        """A descriptor or a wrapper by the functions in it; an object of a user's class by its class and attributes."""
        self.note(type(value).__qualname__)
        inner = [getattr(value, name, None) for name in ("fget", "fset", "__func__", "__wrapped__", "py_func", "func")]
        for each in inner:
            if callable(each):
                self.value(each)
        if isinstance(value, functools.partial):
            self.value([*value.args])
            self.value(dict(value.keywords))
        elif self._is_users(type(value).__module__):
            self.value(type(value))
            self.value(getattr(value, "__dict__", {}))
        elif not any(map(callable, inner)) and not isinstance(value, ModuleType):
            self.note(_ADDRESS.sub("", repr(value)))

    def _class(self, kind: type) -> None:
        self.note(kind.__module__, kind.__qualname__)
        if not self._is_users(kind.__module__):
            return
        for base in kind.__mro__[1:]:
            self.value(base)
        for name, held in vars(kind).items():
            if name not in _OF_NO_MEANING and not name.startswith(("__pydantic_", "_abc_")):
                self.note(name)
                self.value(held)
        for name, field in vars(kind).get("__pydantic_fields__", {}).items():
            self.note(name, _ADDRESS.sub("", repr(field)))
            self.value(field.default_factory)
            for each in field.metadata:
                self.value(each)

    def _function(self, function: FunctionType) -> None:
        self.note(function.__module__ or "", function.__qualname__)
        names = function.__globals__
        if not self._is_users(str(names.get("__name__"))):
            return
        self.value(function.__code__)
        self.value(function.__defaults__)
        self.value(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                self.value(cell.cell_contents)
            except ValueError:
                continue  # empty
        self.value(getattr(function, "__wrapped__", None))
        for code in _codes(function.__code__):
            for name in code.co_names:
                if name in names:
                    self.note(name)
                    self._global(names[name], code)

    def _global(self, value: Any, code: CodeType) -> None:
        """A global that code refers to; of a module of the user, what the code takes from it."""
        if not isinstance(value, ModuleType):
            self.value(value)
        elif self._is_users(value.__name__):
            for name in code.co_names:
                if name in vars(value):
                    self.note(name)
                    self._global(vars(value)[name], code) if not isinstance(vars(value)[name], ModuleType) else None

    def _code(self, code: CodeType) -> None:
        self.note(code.co_code.hex(), code.co_exceptiontable.hex(), str(code.co_flags))
        for names in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars):
            self.note(*names)
        for constant in code.co_consts:
            self.value(constant)

    def _is_users(self, module: str) -> bool:
        """Whether a module is the user's: neither Python's nor this package nor one that is installed, unless the class
        comes from that one."""
        package = module.partition(".")[0]
        if package == self._package:
            return True
        if package in ("corpuscurate", "builtins") or package in sys.stdlib_module_names:
            return package == "__main__"
        file = getattr(sys.modules.get(module), "__file__", None)
        return file is None or not file.startswith(_LIBRARIES)


def _codes(code: CodeType) -> list[CodeType]:
    """A code object and those of the functions in it."""
    inner = [each for constant in code.co_consts if isinstance(constant, CodeType) for each in _codes(constant)]
    return [code, *inner]
