"""Batches of a file become candidates for a detector."""

from __future__ import annotations

import glob
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import duckdb

from maxspan.engine.kernel.columns.arrow import np
from maxspan.engine.kernel.columns.fields import BatchFields
from maxspan.engine.kernel.columns.layout import layout_of
from maxspan.engine.kernel.columns.lines import is_plain, line_parts, takes_lines
from maxspan.engine.kernel.columns.masks import Groups, MaskFinder
from maxspan.engine.kernel.columns.reading import ParquetReader
from maxspan.engine.kernel.columns.rows import RowFields, RowsOfBatch, RowTexts
from maxspan.engine.kernel.columns.rules import ColumnRules
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.events import Candidate, DecodedFields, listed
from maxspan.engine.kernel.native.scanning import Scanning
from maxspan.engine.kernel.skipping import HOST, TIME
from maxspan.engine.match import RuleMatch
from maxspan.sources.timestamps import EARLIEST_NS, LATEST_NS

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Part

#: so many rows are gone through before it is looked at how many of them wait, as rows of a chunk are
_SLICE: Final = 64
_MOST_SCHEMAS: Final = 100
_seen: dict[Hashable, tuple[list[str], list[Any]]] = {}
#: the length of `2026-11-24T03:06:23.843389`
_WITH_FRACTION: Final = 26


class Prepared(NamedTuple):
    """A batch of which everything is read that can fail: `rows` of all `total`, and those that fulfil something."""

    rows: int
    total: int
    bytes: int
    groups: Groups
    fields: BatchFields
    texts: RowTexts
    #: what the compiled scanner writes the lines of these rows of; None where it does not
    parts: tuple[Part, ...] | None
    #: whether these lines can be read again
    parks: bool


def prepared(rules: ColumnRules, path: str) -> Iterator[Prepared]:
    """Read a file batch by batch. Raises Unsuited, pyarrow's errors, OSError where rows have to go on from there."""
    reader = ParquetReader(path)
    try:
        layout = layout_of(reader.schema, *_described(path, reader.about_schema))
        needed = layout.needed(rules.names)
        rest = tuple(unit for unit in layout.units if unit not in needed)
        scanning = rules.compiled.scanning
        if scanning is not None and not takes_lines(layout, scanning):
            scanning = None
        parks = scanning is not None and is_plain(layout, scanning)
        finder = MaskFinder(
            rules.tables, rules.categories, rules.compiled.every, rules.applies, rules.compiled.scanning
        )
        for batch in reader.batches(needed, rest):
            fields = BatchFields(layout, batch)
            fields.check(needed)
            rules.compiled.tree.between_events()
            groups = finder.find(fields)
            parts: tuple[Part, ...] | None = None
            if len(groups.rows):
                fields.check(rest)
                if scanning is not None:
                    parts = line_parts(layout, fields, groups.rows, scanning)
            yield Prepared(batch.rows, reader.rows, batch.bytes, groups, fields, RowTexts(layout, fields), parts, parks)
            del batch, fields, groups, parts  # so that there is room for the next one
    finally:
        reader.close()


def _described(path: str, about_schema: Hashable) -> tuple[list[str], list[Any]]:
    """Give the names and types that DuckDB sees; files of one schema are asked once."""
    known = _seen.get(about_schema)
    if known is None:
        connection = duckdb.connect()
        try:
            query = "SELECT * FROM read_parquet(?, hive_partitioning = false)"
            relation = connection.sql(query, params=[glob.escape(path)])
            known = list(relation.columns), list(relation.types)
        finally:
            connection.close()
        if len(_seen) >= _MOST_SCHEMAS:
            _seen.clear()
        _seen[about_schema] = known
    return known


def take(detector: KernelDetector, rules: ColumnRules, path: str, first_row: int, batch: Prepared) -> list[RuleMatch]:
    """Give the rows of a batch to a detector, in order; later stages that nothing waits for are passed over."""
    counters = detector.counters
    first = counters.events
    counters.events += batch.rows
    counters.bytes += batch.bytes
    out: list[RuleMatch] = []
    if len(batch.groups.rows):
        scanning = rules.compiled.scanning
        candidates = (
            _of_rows(detector, path, first, first_row, batch)
            if scanning is None or batch.parts is None
            else _of_lines(detector, scanning, path, first, first_row, batch)
        )
        for candidate in candidates:
            detector._take(candidate, out)
    counters.matches += len(out)
    return out


def _of_lines(
    detector: KernelDetector,
    scanning: Scanning,
    path: str,
    first: int,
    first_row: int,
    batch: Prepared,
) -> Iterator[Candidate]:
    """Give the candidates among rows that the compiled scanner goes through as through lines; take each at once."""
    skipping, getters, parked = detector._skipping, detector._reader._getters, detector._parked
    narrow, skip = (skipping.narrow, skipping.skip) if skipping is not None else (None, None)
    groups, source = batch.groups, (path, first_row, first)
    assert batch.parts is not None
    lines = scanning.lines(
        skip,
        source,
        batch.rows,
        groups.rows,
        groups.numbers,
        groups.packed(scanning),
        batch.parts,
        parks=batch.parks and parked is not None,
    )
    for end in range(_SLICE, len(groups.rows) + _SLICE, _SLICE):
        if parked is not None:
            parked.relieve(detector._begin)
        lines.end = end
        for row in lines:
            mask, place = row.mask, row.number
            assert mask is not None
            if narrow is not None and not row.narrowed:
                mask = narrow(mask, row)
                if not mask:
                    continue
            fields = DecodedFields(row, scanning, getters)
            yield Candidate(mask, fields, first + place, path, first_row + place, raw=row.line())


def _of_rows(detector: KernelDetector, path: str, first: int, first_row: int, batch: Prepared) -> Iterator[Candidate]:
    """Do the same in Python; take each at once."""
    skipping = detector._skipping
    if detector.compiled.scanning is not None:
        batch.groups.unpack(detector.compiled.scanning)
    masks, rows, numbers = batch.groups.masks, batch.groups.rows, batch.groups.numbers
    later = [0 if skipping is None else skipping.later(mask) for mask in masks]
    certain = np.array([mask != own for mask, own in zip(masks, later, strict=True)], dtype=bool)[numbers]
    sure = RowsOfBatch(batch.fields, batch.texts, rows[certain])
    unsure = RowsOfBatch(batch.fields, batch.texts, rows[~certain], rarely=True)
    waiting, sure_waiting = _Waiting(unsure), _Waiting(sure)
    times, unsure_times, unsure_hosts = sure.times(), unsure.times(), unsure[HOST]
    quick = [skipping is not None and skipping.is_all_later(mask) for mask in masks]
    place = unsure_place = -1
    for row, number, is_sure in zip(rows.tolist(), numbers.tolist(), certain.tolist(), strict=True):
        mask = masks[number]
        if is_sure:
            place += 1
            if later[number] and skipping is not None:
                mask = skipping.narrow_fields(mask, sure_waiting.at(place), _in_range(times[place]))
            events, own = sure, place
        else:
            unsure_place += 1
            assert skipping is not None
            now_ns, host = _in_range(unsure_times[unsure_place]), unsure_hosts[unsure_place]
            if (
                quick[number]
                and now_ns is not None
                and (host is None or type(host) is str)
                and skipping.passes(mask, now_ns, host or "")
            ):
                continue
            mask = skipping.narrow_fields(mask, waiting.at(unsure_place), now_ns)
            if not mask:
                continue
            events, own = unsure, unsure_place
        text = events.text(own)
        candidate = Candidate(mask, RowFields(events, own), first + row, path, first_row + row, raw=text)
        time_ns = _in_range(times[place] if is_sure else unsure_times[unsure_place])
        if time_ns is not None:
            candidate._times[TIME] = time_ns
        yield candidate
    sure.close()
    unsure.close()


class _Waiting:
    """The fields of one row after another, as skipping asks for them: the time in the form that is read quickly."""

    def __init__(self, events: RowsOfBatch) -> None:
        self._events = events
        self._place = 0

    def at(self, place: int) -> _Waiting:
        self._place = place
        return self

    def get(self, name: str, default: Sequence[Any] = ()) -> Sequence[Any]:
        value = self._events[name][self._place]
        return _quick(value) if name == TIME else listed(value) or default


def _in_range(time_ns: int | None) -> int | None:
    """Give a time that timestamps can have; None for another one, which its text decides."""
    return time_ns if time_ns is not None and EARLIEST_NS <= time_ns <= LATEST_NS else None


def _quick(value: Any) -> Sequence[Any]:
    """Write the same time with its zone, which is UTC where there is none."""
    return (value + "Z",) if type(value) is str and len(value) == _WITH_FRACTION else listed(value)
