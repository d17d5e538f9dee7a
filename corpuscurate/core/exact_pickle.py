"""Arrow types arrive at another process as they were sent.

pyarrow pickles a fixed-size list as the type of its values and a map without its flag of sorted keys: the inner field's
name, nullability and metadata are lost, at any depth and in every field, schema, array and extension type around them.
Importing this module gives Python's picklers exact reducers for both, so that nothing that a task holds needs care of
its own. They name functions of pyarrow alone: what is pickled can be read without this package.
"""

from __future__ import annotations

import copyreg
from typing import Any

import pyarrow as pa


def _fixed_size_list(kind: pa.FixedSizeListType) -> tuple[Any, ...]:
    return pa.list_, (kind.value_field, kind.list_size)


def _map(kind: pa.MapType) -> tuple[Any, ...]:
    return pa.map_, (kind.key_field, kind.item_field, kind.keys_sorted)


copyreg.pickle(pa.FixedSizeListType, _fixed_size_list)
copyreg.pickle(pa.MapType, _map)
