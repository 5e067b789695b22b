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
if pa is not None:
    _optional("pyarrow.compute")


def available() -> bool:
    """Whether files can be read by columns."""
    return np is not None and pa is not None and pq is not None


class Unsuited(Exception):
    """Something that only the way row by row can say, or that cannot be read at all: rows decide."""


# What numpy shares with pyarrow is taken from buffers: `pyarrow.array` and `to_numpy` would import pandas, if it is
# there, to see whether it is meant.


def row_numbers(rows: Any) -> Any:
    """Give an array of row numbers to pyarrow."""
    data = np.ascontiguousarray(rows, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])


def integers(array: Any) -> Any:
    """Give an array of integers (or of what is stored as such) to numpy; what stands for nulls is any number."""
    buffer = array.buffers()[1]
    kind = np.dtype(f"i{array.type.bit_width // 8}")
    if buffer is None:
        return np.zeros(len(array), dtype=kind)
    return np.frombuffer(buffer, dtype=kind)[array.offset : array.offset + len(array)]


def is_there(array: Any) -> Any:
    """Give for each row whether its value is not null."""
    if not array.null_count:
        return np.ones(len(array), dtype=bool)
    bits = array.buffers()[0]
    if bits is None:
        return np.zeros(len(array), dtype=bool)
    end = array.offset + len(array)
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")[array.offset : end].astype(bool)
