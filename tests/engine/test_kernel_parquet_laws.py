"""Parquet by columns gives what its rows give, to the letter: random tables, rules and sizes of row groups."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from maxspan.engine.kernel import parquet
from maxspan.engine.kernel.columns import reading
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.languages import plan
from maxspan.sources.files import EventFiles
from tests.engine.parquet_tables import assert_same, by_rows, pa, tables, way, write
from tests.kernel.test_laws import queries, rules_of

__all__ = ["way"]

EVERYTHING = plan.EventQuery(plan.Stage(None, plan.TRUE))


@settings(max_examples=25)
@given(queries, tables(), st.integers(1, 9), st.sampled_from([0, 3, 100]), st.booleans())
def test_columns_are_rows(made: list[plan.Query], table: Any, group: int, batch: int, dictionaries: bool) -> None:
    rules = rules_of([*made, EVERYTHING])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = write(table, Path(folder, "e.parquet"), row_group_size=group, use_dictionary=dictionaries)
        if batch:
            patch.setattr(reading, "WHOLE_BYTES", -1)
            patch.setattr(reading, "BATCH_ROWS", batch)
        rest: list[int] = []
        rows_after = parquet._by_rows
        patch.setattr(parquet, "_by_rows", lambda d, p, done, note: rest.append(done) or rows_after(d, p, done, note))
        found = assert_same(rules, [path])
        event(f"rows from {rest}" if rest else "all by columns")
        reference = ReferenceDetector(rules)
        files = EventFiles([path])
        assert by_rows(reference, files) == found


@settings(max_examples=25)
@given(queries, tables(), tables(), st.permutations(["a.parquet", "b.ndjson", "c.parquet"]))
def test_files_of_several_kinds(made: list[plan.Query], first: Any, second: Any, names: list[str]) -> None:
    rules = rules_of([*made, EVERYTHING])
    lines = b'{"@timestamp":"2024-05-01T10:00:00Z","event.category":"a"}\nnot json\n'
    lines += b'{"@timestamp":"2024-05-01T10:00:04Z","event":{"category":["b"]},"user":{"id":"1"}}\n'
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in names]
        for path, table in zip(paths, (first, None, second), strict=True):
            if path.suffix == ".ndjson":
                path.write_bytes(lines)
            else:
                write(first if table is None else table, path, row_group_size=3)
        assert_same(rules, paths)


@settings(max_examples=25)
@given(queries, tables())
def test_index_patterns_and_what_events_tell(made: list[plan.Query], table: Any) -> None:
    rows = table.num_rows
    told = ["logs-endpoint.events.process-default", "winlogbeat-x", None]
    table = table.append_column("_index", pa.array([told[n % 3] for n in range(rows)]))
    stream = pa.array([{"dataset": "endpoint.events.file"} if n % 2 else None for n in range(rows)])
    table = table.append_column("data_stream", stream)
    rules = rules_of([*made, EVERYTHING])
    patterns = (("logs-endpoint.events.*",), ("winlogbeat-*", "-winlogbeat-y"), ())
    rules = [replace(rule, index=patterns[number % 3]) for number, rule in enumerate(rules)]
    with tempfile.TemporaryDirectory() as folder:
        assert_same(rules, [write(table, Path(folder, "e.parquet"))])
