"""Rows that matter, as events: their JSON text, letter by letter what the way row by row makes, and their fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from maxspan.engine.kernel.columns.arrow import is_there, np, row_numbers
from maxspan.engine.kernel.columns.fields import BatchFields, Value
from maxspan.engine.kernel.columns.layout import Layout, Node, Unit
from maxspan.engine.kernel.columns.values import encode_value, nested_values
from maxspan.engine.kernel.events import DecodedFields
from maxspan.engine.kernel.skipping import TIME

_HOLE: Final = b"%b"
#: so many texts are written one by one before all are written at once
_SINGLY: Final = 40


class RowTexts:
    """Writes rows of a batch. Rows that lack the same columns and structs share a pattern, filled with their values."""

    def __init__(self, layout: Layout, fields: BatchFields) -> None:
        self._layout = layout
        self._fields = fields
        self._paths = _paths(layout.nodes)
        #: what may be left out, or be null as a whole: columns, and structs in them
        self._questions = [node for node in self._paths if node.members or node in layout.nodes]

    def texts(self, rows: Any) -> list[bytes]:
        """Give the lines of JSON of these rows; null columns are left out."""
        shapes, numbers = self._shapes(rows)
        out: list[bytes] = [b""] * len(rows)
        for number, shape in enumerate(shapes):
            chosen = np.flatnonzero(numbers == number)
            absent = {node for node, there in zip(self._questions, shape, strict=True) if not there}
            units: list[Unit] = []
            pattern = _pattern(self._layout.nodes, absent, units)
            own = rows[chosen]
            if not units:
                for place in chosen.tolist():
                    out[place] = pattern.replace(b"%%", b"%")
                continue
            columns = [self._pieces(unit, own) for unit in units]
            for place, line in zip(chosen.tolist(), map(pattern.__mod__, zip(*columns, strict=True)), strict=True):
                out[place] = line
        return out

    def _shapes(self, rows: Any) -> tuple[list[list[bool]], Any]:
        """Give the distinct answers to the questions, and for each row the number of its own."""
        there = np.empty((len(rows), len(self._questions)), dtype=bool)
        for n, node in enumerate(self._questions):
            array = (
                self._fields.batch.struct(self._paths[node])
                if node.unit is None
                else self._fields.batch.array(node.unit)
            )
            there[:, n] = is_there(array)[rows] if array.null_count else True
        packed = np.packbits(there, axis=1)
        keys = [row.tobytes() for row in packed]
        known: dict[bytes, int] = {}
        numbers = np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)
        first = np.unique(numbers, return_index=True)[1]
        return there[first].tolist(), numbers

    def _pieces(self, unit: Unit, rows: Any) -> list[bytes]:
        if unit.kind == "scalar":
            scalars = self._fields.scalars(unit)
            pieces: list[bytes] = scalars.json(scalars.codes[rows]).tolist()
            return pieces
        if unit.kind == "list":
            return self._fields.lists(unit).json(rows)
        values = nested_values(self._fields.batch.array(unit).take(row_numbers(rows)), unit.type)
        return [encode_value(value) for value in values]


def _paths(nodes: Iterable[Node], before: tuple[str, ...] = ()) -> dict[Node, tuple[str, ...]]:
    out: dict[Node, tuple[str, ...]] = {}
    for node in nodes:
        out[node] = (*before, node.name)
        out.update(_paths(node.members, out[node]))
    return out


def _pattern(nodes: Sequence[Node], absent: set[Node], units: list[Unit], *, top: bool = True) -> bytes:
    """Write an object with a hole for each unit in it; the units are added to `units`."""
    parts: list[bytes] = []
    for node in nodes:
        if node in absent and top:
            continue
        key = encode_value(node.name).replace(b"%", b"%%")
        if node in absent:
            parts.append(key + b":null")
        elif node.unit is not None:
            units.append(node.unit)
            parts.append(key + b":" + _HOLE)
        else:
            parts.append(key + b":" + _pattern(node.members, absent, units, top=False))
    return b"{" + b",".join(parts) + b"}"


class RowsOfBatch(dict[str, list[Value]]):
    """Rows of a batch, by their place among them: `rows[field][place]`. Columns are read when they are asked for.

    With `rarely` texts are first written one by one, as only some are expected to be asked for.
    """

    def __init__(self, fields: BatchFields, texts: RowTexts, rows: Any, *, rarely: bool = False) -> None:
        super().__init__()
        self._fields: BatchFields | None = fields
        self._writer: RowTexts | None = texts
        self._rows = rows
        self._texts: list[bytes] | None = None
        self._singly = _SINGLY if rarely else 0

    def __missing__(self, name: str) -> list[Value]:
        assert self._fields is not None, "a field of rows that are gone"
        known = self._fields.values(name, self._rows) if self._fields.has(name) else [None] * len(self._rows)
        self[name] = known
        return known

    def text(self, place: int) -> bytes:
        """Give the JSON of one row."""
        if self._texts is None:
            assert self._writer is not None, "the text of a row that is gone"
            if self._singly:
                self._singly -= 1
                return self._writer.texts(self._rows[place : place + 1])[0]
            self._texts = self._writer.texts(self._rows)
        return self._texts[place]

    def times(self) -> list[int | None]:
        """Give the times of the rows, where their column is one of times; else None: their text has to be read."""
        assert self._fields is not None
        return self._fields.times(TIME, self._rows)

    def close(self) -> None:
        """Let the columns go; what was asked for before stays."""
        self._fields = self._writer = None


class RowFields(DecodedFields):
    """The fields of one row by name, as lists of values."""

    __slots__ = ("_place", "_rows")

    def __init__(self, rows: RowsOfBatch, place: int) -> None:
        self._rows = rows
        self._place = place

    def raw(self, name: str) -> Value:
        """Give a field as a scalar, a tuple without nulls, or None."""
        return self._rows[name][self._place]

    def get(self, name: str, default: Sequence[Any] = ()) -> Sequence[Any]:
        value = self._rows[name][self._place]
        if type(value) is tuple:
            return value or default
        return default if value is None else (value,)
