"""Laws of the sources: how events are kept, and in which order they come, changes neither events nor matches."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.languages import eql
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk
from maxspan.sources.document import decode_line, flatten, unwrap
from maxspan.sources.files import EventFiles
from maxspan.sources.timestamps import EARLIEST_NS, LATEST_NS, parse_timestamp_ns

Event = dict[str, Any]

CONTAINERS: dict[str, Callable[[list[Event]], bytes]] = {
    "ndjson": lambda events: b"".join(json.dumps(event).encode() + b"\n" for event in events),
    "array": lambda events: json.dumps(events).encode(),
    "printed array": lambda events: json.dumps(events, indent=3).encode(),
    "export": lambda events: b"".join(json.dumps({"_id": "x", "_source": e}).encode() + b"\n" for e in events),
    "response": lambda events: json.dumps(
        {"took": 1, "hits": {"hits": [{"_id": "x", "_source": e} for e in events]}}
    ).encode(),
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data[:70]) + gzip.compress(data[70:]),
    "zstd": lambda data: zstandard.compress(data[:70]) + zstandard.compress(data[70:]),
}

text = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ['"', "\\", "{", "]", '\\"}', "\n", "\u2028"]
)
scalars = st.booleans() | st.integers(-(2**53), 2**53) | text
plain_events = st.fixed_dictionaries(
    {"@timestamp": st.integers(0, 10**12)},
    optional={"user.name": text, "process.pid": st.integers(0, 2**31), "process.args": st.lists(text, max_size=3)},
)
nested_events = st.dictionaries(
    st.sampled_from(["hits", "took", "a", "a.b", "fields"]),
    st.recursive(
        scalars | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=2)
    ),
    max_size=4,
)


def read(paths: list[Path], chunk_bytes: int) -> list[Event]:
    files = EventFiles(paths, chunk_bytes=chunk_bytes)
    events = [
        unwrap(decode_line(line)).source for chunk in files.chunks() for line in chunk.data.split(b"\n") if line.strip()
    ]
    assert files.problems == []
    assert files.bytes_done == files.total_bytes
    return events


def spread(folder: Path, events: list[Event], chance: random.Random) -> list[Path]:
    """Write the events to one to three files, each of another form."""
    cuts = sorted(chance.randrange(len(events) + 1) for _ in range(chance.randrange(3)))
    paths = []
    for number, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(events)], strict=True)):
        form, packing = chance.choice(sorted(CONTAINERS)), chance.choice(sorted(PACKINGS))
        path = folder / f"{number}.json"
        path.write_bytes(PACKINGS[packing](CONTAINERS[form](events[begin:end])))
        paths.append(path)
    return paths


@given(st.lists(nested_events, max_size=8), st.integers(1, 300), st.integers(0, 10**6))
def test_events_do_not_depend_on_how_they_are_kept(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], chunk_bytes: int, seed: int
) -> None:
    paths = spread(tmp_path_factory.mktemp("events"), events, random.Random(seed))
    assert read(paths, chunk_bytes) == events


@given(st.lists(plain_events, min_size=1, max_size=8), st.integers(1, 300))
def test_parquet_gives_the_events_of_its_lines(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], chunk_bytes: int
) -> None:
    import duckdb

    folder = tmp_path_factory.mktemp("events")
    columns = "{'@timestamp': 'BIGINT', 'user.name': 'VARCHAR', 'process.pid': 'BIGINT', 'process.args': 'VARCHAR[]'}"
    lines, parquet = folder / "a.ndjson", folder / "a.parquet"
    lines.write_bytes(CONTAINERS["ndjson"](events))
    with duckdb.connect() as connection:
        source = f"read_json('{lines}', format = 'newline_delimited', columns = {columns})"
        connection.execute(f"COPY (SELECT * FROM {source}) TO '{parquet}' (FORMAT parquet)")
    assert [flatten(e) for e in read([parquet], chunk_bytes)] == [flatten(e) for e in read([lines], chunk_bytes)]


RULES = [
    Rule(id=str(number), name=str(number), type="eql", plan=eql.parse(query))
    for number, query in enumerate(
        [
            "process where process.pid > 2",
            "sequence by user.name with maxspan=5s [process where true] [network where true]",
            "sequence by user.name with maxspan=9s [process where process.pid == 1] ![file where true]"
            " [network where true]",
        ]
    )
]
times = st.integers(0, 20).map(lambda n: f"2026-11-24T03:06:{n:02}.000000001Z")
rule_events = st.lists(
    st.fixed_dictionaries(
        {
            "@timestamp": times,
            "event.category": st.sampled_from(["process", "network", "file"]),
            "user.name": st.sampled_from(["a", "b"]),
            "process.pid": st.integers(0, 4),
        }
    ),
    max_size=10,
    unique_by=lambda event: event["@timestamp"],
)


def matches(chunks: list[Chunk]) -> list[Any]:
    """Give rule, events and keys of every match, whatever the order."""
    detector = ReferenceDetector(RULES)
    found = [match for chunk in chunks for match in detector.feed(chunk)] + detector.finish()
    assert detector.counters.unreadable == 0
    return sorted(
        (
            match.rule.id,
            tuple(event and json.dumps(event.document(), sort_keys=True) for event in match.events),
            match.join_keys,
        )
        for match in found
    )


@given(rule_events, st.randoms(use_true_random=False), st.integers(1, 300))
def test_matches_do_not_depend_on_the_order_of_lines_chunks_and_files(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], chance: random.Random, chunk_bytes: int
) -> None:
    expected = matches([Chunk(CONTAINERS["ndjson"](events))])
    shuffled = events[:]
    chance.shuffle(shuffled)
    paths = spread(tmp_path_factory.mktemp("events"), shuffled, chance)
    chance.shuffle(paths)
    chunks = list(EventFiles(paths, chunk_bytes=chunk_bytes).chunks())
    chance.shuffle(chunks)
    assert matches(chunks) == expected


def test_the_rules_of_the_law_match_something() -> None:
    """The law above would hold for rules that never match."""
    kinds = ["process", "network", "process", "network"]
    events = [
        {"@timestamp": f"2026-11-24T03:06:{n:02}Z", "event.category": kind, "user.name": "a", "process.pid": pid}
        for n, (kind, pid) in enumerate(zip(kinds, [1, 0, 3, 0], strict=True))
    ]
    assert {match[0] for match in matches([Chunk(CONTAINERS["ndjson"](events))])} == {"0", "1", "2"}


@given(st.integers(0, 3000), st.sampled_from(["dict", "list", "both"]))
def test_nesting_never_crashes(depth: int, kind: str) -> None:
    opening, closing = {"dict": ('{"a":', "}"), "list": ("[", "]"), "both": ('[{"a":', "}]")}[kind]
    line = ('{"x":' + opening * depth + "1" + closing * depth + "}").encode()
    try:
        fields = flatten(decode_line(line))
    except ValueError as error:
        assert "nested too deeply" in str(error)
        assert depth > 100
        return
    assert list(fields.values()) == [[1]]


@given(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), st.integers(0, 999), st.integers(-18 * 60, 18 * 60))
def test_a_time_means_the_same_however_it_is_written(moment: datetime, nanos: int, offset: int) -> None:
    whole = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    expected = whole * 1000 + nanos
    fraction = f"{moment.microsecond:06}{nanos:03}"
    assert parse_timestamp_ns(f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}Z") == expected
    assert parse_timestamp_ns(f"{moment:%Y-%m-%d %H:%M:%S},{fraction}987") == expected
    local = moment + timedelta(minutes=offset)
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    zone = f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    assert parse_timestamp_ns(f"{local:%Y-%m-%dT%H:%M:%S}.{fraction}{zone}") == expected
    assert parse_timestamp_ns(moment.replace(tzinfo=UTC).isoformat()) == whole * 1000


@given(st.integers(10**11, 9 * 10**12), st.integers(0, 999_999_999))
def test_numbers_are_milliseconds_or_seconds(millis: int, nanos: int) -> None:
    assert parse_timestamp_ns(millis) == parse_timestamp_ns(str(millis)) == millis * 10**6
    seconds = millis // 1000
    assert parse_timestamp_ns(seconds) == seconds * 10**9
    assert parse_timestamp_ns(f"{seconds}.{nanos:09}") == seconds * 10**9 + nanos


@given(st.text(max_size=40) | st.integers() | st.floats() | st.booleans() | st.none() | st.binary(max_size=3))
def test_no_time_is_outside_64_bits_and_nothing_raises(value: object) -> None:
    time_ns = parse_timestamp_ns(value)
    assert time_ns is None or EARLIEST_NS <= time_ns <= LATEST_NS
