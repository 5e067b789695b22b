"""Batches of a file become candidates for a detector."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from typing import Any, NamedTuple

from maxspan.engine.kernel.columns.fields import BatchFields
from maxspan.engine.kernel.columns.layout import layout_of
from maxspan.engine.kernel.columns.masks import Groups, MaskFinder
from maxspan.engine.kernel.columns.reading import ParquetReader
from maxspan.engine.kernel.columns.rows import RowFields, RowsOfBatch
from maxspan.engine.kernel.columns.rules import ColumnRules
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.match import RuleMatch
from maxspan.sources.document import decode_line, flatten


class Prepared(NamedTuple):
    """A batch of which everything is read that can fail: so many rows, and those that fulfil something."""

    rows: int
    bytes: int
    groups: Groups
    events: RowsOfBatch | None


def prepared(rules: ColumnRules, path: str) -> Iterator[Prepared]:
    """Read a file batch by batch. Raises Unsuited, pyarrow's errors, OSError where rows have to go on from there."""
    reader = ParquetReader(path)
    try:
        layout = layout_of(reader.schema, *_described(path))
        needed = layout.needed(rules.names)
        rest = tuple(unit for unit in layout.units if unit not in needed)
        finder = MaskFinder(rules.tables, rules.categories, rules.compiled.every, rules.applies, rules.masks)
        for batch in reader.batches(needed, rest):
            fields = BatchFields(layout, batch)
            fields.check(needed)
            groups = finder.find(fields)
            events = None
            if len(groups.rows):
                fields.check(rest)
                events = RowsOfBatch(layout, fields, groups.rows)
            yield Prepared(batch.rows, batch.bytes, groups, events)
    finally:
        reader.close()


def _described(path: str) -> tuple[list[str], list[Any]]:
    import duckdb

    connection = duckdb.connect()
    try:
        relation = connection.sql(
            "SELECT * FROM read_parquet(?, hive_partitioning = false)", params=[glob.escape(path)]
        )
        return list(relation.columns), list(relation.types)
    finally:
        connection.close()


def take(detector: KernelDetector, rules: ColumnRules, path: str, first_row: int, batch: Prepared) -> list[RuleMatch]:
    """Give the rows of a batch to a detector, in order; later stages that nothing waits for are passed over."""
    counters, skipping = detector.counters, detector._skipping
    first = counters.events
    counters.events += batch.rows
    counters.bytes += batch.bytes
    out: list[RuleMatch] = []
    events = batch.events
    if events is None:
        return out
    masks = batch.groups.masks
    numbers = batch.groups.numbers.tolist()
    for place, row in enumerate(batch.groups.rows.tolist()):
        mask = masks[numbers[place]]
        fields: Any = RowFields(events, place)
        if skipping is not None:
            mask = skipping.narrow_fields(mask, fields)
            if not mask:
                continue
        text = events.text(place)
        if rules.keeps_fields:
            fields = flatten(decode_line(text))
        out += detector._take(Candidate(mask, fields, text, first + row, path, first_row + row, raw=text))
    events.close()
    counters.matches += len(out)
    return out
