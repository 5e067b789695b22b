"""The fields that are asked before all others: few combinations of their values occur, and they rule out most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from maxspan.engine.kernel.events import listed
from maxspan.engine.kernel.tables import FieldTable
from maxspan.schema.index_patterns import Told, told_by

#: asked at once, if rules read them
GATES: Final = ("event.category", "event.type", "event.action", "host.os.type")
TOLD: Final = ("data_stream.type", "data_stream.dataset", "data_stream.namespace", "event.dataset", "_index")


class Gates:
    """What the first fields leave possible. `fields` are their names, those that tell of an event's place included.

    `applies` gives the mask of pieces whose rule's index patterns admit what an event tells of its place. `later` are
    the tables of the other fields; `tables` are those of the first ones.
    """

    def __init__(
        self,
        tables: Mapping[str, FieldTable],
        categories: Iterable[str],
        every: int,
        applies: Callable[[Told], int] | None,
    ) -> None:
        self.names = tuple(name for name in dict.fromkeys((*categories, *GATES)) if name in tables)
        self.fields = (*self.names, *(TOLD if applies is not None else ()))
        self.applies = applies
        self.later = {name: table for name, table in tables.items() if name not in self.names}
        self.tables = {name: tables[name] for name in self.names}
        self._every = every

    def mask(self, fields: Mapping[str, Sequence[Any]], index: str = "") -> int:
        """Give what these fields, as lists of values, leave possible; `index` is that of the document around them."""
        mask = self._every
        if self.applies is not None:
            mask &= self.applies(told_by({name: fields.get(name, ()) for name in TOLD}, index))
        for name, table in self.tables.items():
            mask &= table.mask(fields.get(name, ()))
        return mask

    def mask_of(self, values: Iterable[Any]) -> int:
        """Give the same for the values of `fields` in order, each a scalar, a tuple or None."""
        return self.mask(dict(zip(self.fields, map(listed, values), strict=True)))
