"""What columns need of compiled rules: their tables, and the fields that are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
