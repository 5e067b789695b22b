"""What columns need of compiled rules: their tables, the fields that are read, and the masks of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from maxspan.engine.kernel.columns.arrow import np
from maxspan.engine.kernel.columns.fields import BatchFields
from maxspan.engine.kernel.compiled import CompiledRules
from maxspan.engine.kernel.gates import TOLD
from maxspan.engine.kernel.tables import FieldTable
from maxspan.schema.index_patterns import Told


class ColumnRules:
    """The rules as columns see them."""

    def __init__(self, compiled: CompiledRules) -> None:
        self.compiled = compiled
        self.tables: Mapping[str, FieldTable] = compiled.tree.tables
        self.categories = tuple(dict.fromkeys(rule.names.category for rule in compiled.rules))
        self.applies: Callable[[Told], int] | None = compiled.gates.applies

    @property
    def names(self) -> set[str]:
        """Give the fields that rules may read of an event."""
        names = {table.name for table in self.tables.values()} | {"@timestamp", "host.id", *TOLD}
        for rule in self.compiled.rules:
            names |= {rule.names.timestamp, rule.names.tiebreaker or "event.sequence", rule.names.category}
            names |= {key.name for role in rule.roles for key in role.by}
            names |= {name for role in rule.roles for name in role.reads}
        return names

    def answers(self, key: str, fields: BatchFields, rows: Any) -> tuple[Any, list[int]]:
        """Give for rows the number of the mask that a table leaves possible, and the masks."""
        self.compiled.tree.between_events()
        table, scanning = self.tables[key], self.compiled.scanning
        texts = None if scanning is None else fields.texts(table.name)
        if texts is not None and scanning is not None:
            found, masks = scanning.values(key, rows, *texts)
            return np.frombuffer(found, dtype=np.uint32).astype(np.int64), masks
        numbers, values = fields.distinct(table.name, rows)
        known: dict[int, int] = {}
        classes = [known.setdefault(table.masks[table[value]], len(known)) for value in values]
        return np.array(classes, dtype=np.int64)[numbers], list(known)
