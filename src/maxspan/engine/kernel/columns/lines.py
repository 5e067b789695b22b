"""Rows that matter, as what the compiled scanner writes their lines of: it goes through them as through lines of a file.

The lines are letter by letter those of `rows`, and what is passed over is never more than bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from maxspan.engine.kernel.columns.arrow import is_there, np, row_numbers
from maxspan.engine.kernel.columns.fields import BatchFields
from maxspan.engine.kernel.columns.layout import Layout, Node, Unit
from maxspan.engine.kernel.columns.values import encode_value, joined, nested_values
from maxspan.engine.kernel.native.scanning import Scanning

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Part

_SCALAR, _LIST, _STRUCT, _END = range(4)
_NO_BUFFERS: Final = (None,) * 6
#: of lists, all items of a batch are written unless the rows are a smaller share of it
_SHARE: Final = 8


def takes_lines(layout: Layout, scanning: Scanning) -> bool:
    """Whether each field that rules read is one column of scalars, or of lists of them: a place in a line."""
    sources = (layout.sources.get(name, []) for name in scanning.places)
    return all(not units or (len(units) == 1 and units[0].kind != "nested") for units in sources)


def line_parts(layout: Layout, fields: BatchFields, rows: Any, scanning: Scanning) -> tuple[Part, ...]:
    """Give what the lines of rows are written of. Raises what reading columns does."""
    writer = _Parts(fields, rows, scanning)
    writer.add(layout.nodes, ())
    return tuple(writer.parts)


class _Parts:
    def __init__(self, fields: BatchFields, rows: Any, scanning: Scanning) -> None:
        self.parts: list[Part] = []
        self._fields = fields
        self._rows = rows
        self._scanning = scanning

    def add(self, nodes: Sequence[Node], before: tuple[str, ...]) -> None:
        """Add columns, or the members of the struct at the path `before`."""
        for node in nodes:
            key = encode_value(node.name) + b":"
            if node.unit is not None:
                kind, *buffers = self._buffers(node.unit)
                field = self._scanning.places.get(node.unit.dotted, -1) if node.unit.kind != "nested" else -1
                self.parts.append((kind, key, not before, field, 0, *buffers))
                continue
            path = (*before, node.name)
            there = self._there(self._fields.batch.struct(path)) if node.members else None
            place = len(self.parts)
            self.parts.append((_END, b"", False, -1, 0, *_NO_BUFFERS))  # until it is known where the struct ends
            self.add(node.members, path)
            self.parts.append((_END, b"", False, -1, 0, *_NO_BUFFERS))
            self.parts[place] = (_STRUCT, key, not before, -1, len(self.parts), there, *_NO_BUFFERS[1:])

    def _buffers(self, unit: Unit) -> tuple[Any, ...]:
        """Give the kind of a unit, and: which rows have it, pieces, where they begin, codes, where lists begin and end."""
        rows = self._rows
        if unit.kind == "scalar":
            scalars = self._fields.scalars(unit)
            data, starts, codes = scalars.pieces(scalars.codes[rows], self._scanning)
            return _SCALAR, None, data, starts, np.ascontiguousarray(codes), None, None
        array = self._fields.batch.array(unit)
        if unit.kind == "list":
            lists = self._fields.lists(unit)
            begins, ends = lists.spans(rows)
            codes = lists.items.codes
            if len(rows) * _SHARE < len(array):
                codes, begins, ends = _gathered(codes, begins, ends)
            data, starts, codes = lists.items.pieces(codes, self._scanning)
            return _LIST, self._there(array), data, starts, np.ascontiguousarray(codes), begins, ends
        there = is_there(array)[rows]
        values = nested_values(array.take(row_numbers(rows)), unit.type)
        codes = np.where(there, np.arange(len(rows), dtype=np.int32), np.int32(len(rows)))
        return _SCALAR, None, *joined([encode_value(value) for value in values]), codes, None, None

    def _there(self, array: Any) -> Any:
        return is_there(array)[self._rows].view(np.uint8) if array.null_count else None


def _gathered(codes: Any, begins: Any, ends: Any) -> tuple[Any, Any, Any]:
    """Give the codes of some lists alone, and where each of these has them."""
    counts = ends - begins
    after = np.cumsum(counts)
    first = after - counts
    return codes[np.repeat(begins - first, counts) + np.arange(counts.sum())], first, after
