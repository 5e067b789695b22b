"""pyarrow and numpy, which are optional: without them Parquet is read row by row."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def _optional(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


#: None where they are not installed
np: Any = _optional("numpy")
pa: Any = _optional("pyarrow")
pq: Any = _optional("pyarrow.parquet")


def available() -> bool:
    """Whether files can be read by columns."""
    return np is not None and pa is not None and pq is not None


class Unsuited(Exception):
    """Something that only the way row by row can say, or that cannot be read at all: rows decide."""


def row_numbers(rows: Any) -> Any:
    """Give an array of row numbers to pyarrow; `pyarrow.array` would import pandas to see whether it is one of its."""
    data = np.ascontiguousarray(rows, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])


def is_there(array: Any) -> Any:
    """Give for each row whether its value is not null."""
    return array.is_valid().to_numpy(zero_copy_only=False)
