"""Rows that matter, for the compiled scanner: what their lines are written of.

It goes through them as through the lines of a file. They are letter by letter those of `rows`; what is passed over is
never written.
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
_MOST_DEEP: Final = 16
_NO_BUFFERS: Final = (None,) * 6


def takes_lines(layout: Layout, scanning: Scanning) -> bool:
    """Whether each field that rules read is one column of scalars, or of lists of them: a place in a line."""
    sources = (layout.sources.get(name, []) for name in scanning.places)
    return all(not units or (len(units) == 1 and units[0].kind != "nested") for units in sources)


def is_plain(layout: Layout, scanning: Scanning) -> bool:
    """Whether the scanner reads lines of these columns as it reads others (`Scanner.read`)."""
    names = [name.split(".") for name in scanning.places]
    inner = {".".join(name[:end]) for name in names for end in range(1, len(name))}
    return (
        all(
            unit.kind != "nested" and len(unit.path) <= _MOST_DEEP and unit.dotted not in inner for unit in layout.units
        )
        and all(map(_is_plain_key, (part for unit in layout.units for part in unit.path)))
        and len({unit.path for unit in layout.units}) == len(layout.units)
        and not any(node.name.startswith("_") for node in layout.nodes)
    )


def _is_plain_key(name: str) -> bool:
    return "." not in name and encode_value(name) == b'"' + name.encode() + b'"'


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
        """Give a unit's kind, and: which rows have it, pieces, where they begin, codes, where lists begin and end."""
        array = self._fields.batch.array(unit)
        if unit.kind == "scalar":
            data, starts, codes = self._fields.scalars(unit).pieces(self._rows, self._scanning)
            return _SCALAR, None, data, starts, codes, None, None
        if unit.kind == "list":
            lists = self._fields.lists(unit)
            data, starts, codes = lists.items.pieces(lists.places(self._rows), self._scanning)
            return _LIST, self._there(array), data, starts, codes, *lists.spans
        values = nested_values(array.take(row_numbers(self._rows)), unit.type)
        codes = np.full(len(array), len(values), dtype=np.int32)
        codes[self._rows] = np.where(is_there(array)[self._rows], np.arange(len(values), dtype=np.int32), codes[:1])
        return _SCALAR, None, *joined([encode_value(value) for value in values]), codes, None, None

    def _there(self, array: Any) -> Any:
        return is_there(array).view(np.uint8) if array.null_count else None
