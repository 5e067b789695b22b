"""The fields of a batch's rows by name, whatever units hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from maxspan.engine.kernel.columns.arrow import integers, is_there, np, pa, row_numbers
from maxspan.engine.kernel.columns.layout import Layout, Unit
from maxspan.engine.kernel.columns.reading import Batch
from maxspan.engine.kernel.columns.values import NS_OF, Lists, Scalars, check, encode_value, nested_values
from maxspan.sources.document import decode_line, flatten

#: a field of one row: a scalar, None where it is missing, or a tuple of scalars
Value = Any


class BatchFields:
    """Reads fields of a batch; each unit is taken apart once."""

    def __init__(self, layout: Layout, batch: Batch) -> None:
        self._layout = layout
        self.batch = batch
        self._scalars: dict[Unit, Scalars] = {}
        self._lists: dict[Unit, Lists] = {}

    def check(self, units: Iterable[Unit]) -> None:
        """Read units and look through them, so that nothing can fail later. Raises Unsuited and pyarrow's errors."""
        for unit in units:
            check(self.batch.array(unit), unit.type)

    def scalars(self, unit: Unit) -> Scalars:
        known = self._scalars.get(unit)
        if known is None:
            known = self._scalars[unit] = Scalars(self.batch.array(unit), unit.type, nested=not unit.is_top)
        return known

    def lists(self, unit: Unit) -> Lists:
        known = self._lists.get(unit)
        if known is None:
            known = self._lists[unit] = Lists(self.batch.array(unit), unit.type)
        return known

    def has(self, name: str) -> bool:
        """Whether any row can hold a field."""
        return name in self._layout.sources

    def cost(self, name: str) -> int:
        """Tell about how many values there are of a field, to be asked one by one."""
        sources = self._layout.sources.get(name, [])
        if not sources:
            return 1
        if len(sources) == 1 and sources[0].kind == "scalar":
            return int(self.scalars(sources[0]).null)
        if len(sources) == 1 and sources[0].kind == "list":
            return 2 * int(self.lists(sources[0]).items.null)
        return 10 * self.batch.rows

    def distinct(self, name: str, rows: Any) -> tuple[Any, list[Value]]:
        """Give for each row the number of its value of a field, and the values; a value may come more than once."""
        sources = self._layout.sources.get(name, [])
        if not sources:
            return np.zeros(len(rows), dtype=np.int64), [None]
        if len(sources) == 1 and sources[0].kind == "scalar":
            scalars = self.scalars(sources[0])
            codes = scalars.codes[rows]
            wanted = np.zeros(scalars.null + 1, dtype=bool)
            wanted[codes] = True
            chosen = np.flatnonzero(wanted)
            numbers = np.zeros(scalars.null + 1, dtype=np.int64)
            numbers[chosen] = np.arange(len(chosen))
            return numbers[codes], scalars.values(chosen).tolist()
        if len(sources) == 1 and sources[0].kind == "list":
            return self.lists(sources[0]).distinct(rows)
        return np.arange(len(rows)), self._flattened(name, sources, rows)

    def texts(self, name: str) -> tuple[Any, ...] | None:
        """Give a field as the compiled scanner takes it: one column of texts or of lists of them. Else None."""
        sources = self._layout.sources.get(name, [])
        if len(sources) != 1 or sources[0].kind == "nested":
            return None
        if sources[0].kind == "scalar":
            scalars = self.scalars(sources[0])
            return None if scalars.texts is None else (*scalars.texts, scalars.codes)
        lists = self.lists(sources[0])
        return None if lists.items.texts is None else (*lists.items.texts, lists.items.codes, *lists.spans)

    def values(self, name: str, rows: Any) -> list[Value]:
        """Give a field of each row."""
        numbers, values = self.distinct(name, rows)
        return [values[number] for number in numbers.tolist()]

    def times(self, name: str, rows: Any) -> list[int | None]:
        """Give a field of each row as nanoseconds since 1970; None where it is null, or not a column of times alone."""
        sources = self._layout.sources.get(name, [])
        if len(sources) != 1 or sources[0].kind != "scalar" or not pa.types.is_timestamp(sources[0].type):
            return [None] * len(rows)
        array, scale = self.batch.array(sources[0]), NS_OF[sources[0].type.unit]
        known = [number * scale for number in integers(array)[rows].tolist()]
        if not array.null_count:
            return list(known)
        return [time if there else None for time, there in zip(known, is_there(array)[rows].tolist(), strict=True)]

    def _flattened(self, name: str, sources: Sequence[Unit], rows: Any) -> list[Value]:
        """Do what rows do: for lists in lists, lists of structs, and fields that stand in several columns."""
        out: list[list[Any]] = [[] for _ in range(len(rows))]
        for unit in sources:
            if unit.kind == "scalar":
                scalars = self.scalars(unit)
                values = scalars.values(scalars.codes[rows]).tolist()
            elif unit.kind == "list":
                values = list(self.values_of_list(unit, rows))
            else:
                values = nested_values(self.batch.array(unit).take(row_numbers(rows)), unit.type)
            for found, value in zip(out, values, strict=True):
                if value is not None:
                    document = decode_line(encode_value({unit.dotted: value}))
                    found += flatten(document).get(name, [])
        return [tuple(found) for found in out]

    def values_of_list(self, unit: Unit, rows: Any) -> list[Value]:
        """Give the lists of a unit, without nulls."""
        numbers, lists = self.lists(unit).distinct(rows)
        return [lists[number] for number in numbers.tolist()]
