"""Parquet by columns: types, names, what only rows can say, damaged files, order, memory."""

from __future__ import annotations

import datetime
import random
from pathlib import Path
from typing import Any

import pytest

from maxspan.engine.kernel import parquet
from maxspan.engine.kernel.columns import arrow, reading, taking
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.languages import plan
from maxspan.languages.eql import parse
from maxspan.rules.model import Rule
from maxspan.sources.files import EventFiles
from tests.engine.parquet_tables import NOON, assert_same, by_columns, by_rows, no_rows, pa, said, way, write

__all__ = ["no_rows", "way"]


def rules(*queries: str) -> list[Rule]:
    return [Rule(id=f"r{n}", name=query, type="eql", plan=parse(query)) for n, query in enumerate(queries)]


EVERY = rules("any where true")
SECONDS = [NOON + datetime.timedelta(seconds=n) for n in range(1000)]


def times(rows: int) -> Any:
    return pa.array([SECONDS[n % 1000] for n in range(rows)], pa.timestamp("us"))


def processes(rows: int) -> Any:
    """Events of two hosts in order, with a sequence of every ninth and the one two rows later."""
    names = ["curl" if n % 9 == 0 else "bash" if n % 9 == 2 else f"n{n}" for n in range(rows)]
    return pa.table(
        {
            "@timestamp": times(rows),
            "event": pa.array([{"category": ["process"], "id": f"{n}"} for n in range(rows)]),
            "host": pa.array([{"id": f"h{n % 2}"} for n in range(rows)]),
            "process": pa.array([{"name": name, "pid": n, "args": [name, "-x"]} for n, name in enumerate(names)]),
            "note": pa.array([None if n % 2 else f"text {n}" for n in range(rows)]),
        }
    )


SEQUENCE = (
    'sequence by host.id with maxspan=5s [process where process.name == "curl"] [process where process.args == "bash"]'
)


@pytest.mark.usefixtures("no_rows")
def test_only_rows_that_matter_become_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(processes(900), tmp_path / "e.parquet", row_group_size=350)
    made: list[Candidate] = []
    monkeypatch.setattr(taking, "Candidate", lambda *a, **k: made.append(Candidate(*a, **k)) or made[-1])
    detector = KernelDetector(rules(SEQUENCE))
    found = by_columns(detector, EventFiles([path]))
    assert len(found) == 100
    # those that begin a sequence wait in the scanner
    assert len(made) == (200 if detector.compiled.scanning is None else 100)


@pytest.mark.usefixtures("no_rows")
@pytest.mark.parametrize("batch", [0, 7])
def test_sequences_and_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    if batch:
        monkeypatch.setattr(reading, "WHOLE_BYTES", -1)
        monkeypatch.setattr(reading, "BATCH_ROWS", batch)
    path = write(processes(300), tmp_path / "e.parquet", row_group_size=100)
    made = rules(
        SEQUENCE, 'process where process.pid == 7 and process.args : ("N*", "-x")', "any where note != null | tail 3"
    )
    expected = by_rows(ReferenceDetector(made), EventFiles([path]))
    assert assert_same(made, [path]) == expected
    assert {match[0] for match in expected} == {"r0", "r1", "r2"}


@pytest.mark.usefixtures("no_rows")
def test_events_out_of_order_are_read_once_more(tmp_path: Path) -> None:
    table = processes(300)
    order = list(range(300))
    random.Random(1).shuffle(order)
    path = write(table.take(pa.array(order)), tmp_path / "e.parquet", row_group_size=64)
    lines = tmp_path / "more.ndjson"
    lines.write_bytes(
        b'{"@timestamp":"2024-05-01T10:00:01Z","event.category":"process","process.name":"curl","host.id":"h0"}\n'
    )
    assert len(assert_same(rules(SEQUENCE), [path, lines])) > 30


def test_rows_that_are_gone_are_told(tmp_path: Path) -> None:
    path = write(processes(60).take(pa.array(range(59, -1, -1))), tmp_path / "e.parquet")
    detector, files = KernelDetector(rules(SEQUENCE)), EventFiles([path])
    assert not [match for some in parquet.feed_files(detector, files) for match in some]
    path.unlink()
    detector.finish()
    assert detector.counters.late
    assert "changed-input" in detector.counters.by_kind


HOSTILE = ['quo"te', "new\nline", "nul\0l", "%s %b %", "a.b.c", ".", "a..b", "'; DROP TABLE x; --", "ä\U0001f600", " "]


@pytest.mark.usefixtures("no_rows")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(tmp_path: Path, name: str) -> None:
    inner = pa.array([{name.replace("\0", ""): "x", "y": 1}, None, {"y": None}])
    table = pa.table({"@timestamp": times(3), name: pa.array(["x", None, "z"]), "in": inner})
    where = plan.Comparison("==", plan.Field(name), plan.Literal("z"))
    read = [Rule(id="z", name="z", type="eql", plan=plan.EventQuery(plan.Stage(None, where)))]
    if any(character in name for character in '"\n\0'):
        read = EVERY  # no rule reads such a field
    assert assert_same([*EVERY, *read], [write(table, tmp_path / "e.parquet")])


@pytest.mark.usefixtures("no_rows")
def test_nanoseconds_with_a_zone(tmp_path: Path) -> None:
    """As pandas writes them."""
    moment = pa.array([1714557600123456789, None], pa.int64()).cast(pa.timestamp("ns", "Europe/Rome"))
    inner = pa.StructArray.from_arrays([moment], ["t"])
    path = write(pa.table({"@timestamp": moment, "in": inner, "n": pa.array([1, 2])}), tmp_path / "e.parquet")
    first = assert_same(EVERY, [path])[0][1][0]
    assert first[1] == 1714557600123456789
    assert first[0] == (
        b'{"@timestamp":"2024-05-01T10:00:00.123456789Z","in":{"t":"2024-05-01 10:00:00.123456789+00"},"n":1}'
    )


@pytest.mark.usefixtures("no_rows")
def test_times_of_96_bits(tmp_path: Path) -> None:
    """As Spark writes them."""
    moments = pa.array([1714557600123456789, -1, None, -1001, 2**62], pa.int64()).cast(pa.timestamp("ns"))
    table = pa.table({"@timestamp": moments, "n": pa.array(range(5))})
    assert len(assert_same(EVERY, [write(table, tmp_path / "e.parquet", use_deprecated_int96_timestamps=True)])) == 5


@pytest.mark.usefixtures("no_rows")
def test_encodings_without_dictionaries(tmp_path: Path) -> None:
    table = pa.table({"process.name": ["x", "y", "z"], "event.category": ["a"] * 3, "n": [1.5, 2.5, None]})
    kinds = ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "BYTE_STREAM_SPLIT"]
    encodings = dict(zip(table.column_names, kinds, strict=True))
    path = write(table, tmp_path / "e.parquet", use_dictionary=False, column_encoding=encodings)
    assert len(assert_same(rules('a where process.name == "y"'), [path])) == 1


@pytest.mark.usefixtures("no_rows")
def test_one_field_in_several_columns(tmp_path: Path) -> None:
    table = pa.table(
        {
            "process.name": pa.array(["a", None, "c"]),
            "process": pa.array([{"name": "b"}, {"name": "b"}, None]),
            "process.args": pa.array([["x", None], [], None]),
        }
    )
    made = rules('any where process.name == "b"', 'any where process.name == "c"', "any where process.args == null")
    assert len(assert_same(made, [write(table, tmp_path / "e.parquet")])) == 5


#: files of which only rows are sure to say what they mean
ROWS_ONLY: dict[str, Any] = {
    "wrapper": pa.array([{"process": {"name": "x"}}]),
    "fields": pa.array([{"process.name": ["x"]}]),
    "names alike": None,
    "time of day": pa.array([NOON.time()], pa.time64("ns")),
    "duration": pa.array([datetime.timedelta(1)], pa.duration("us")),
    "far": pa.array([2**62], pa.int64()).cast(pa.timestamp("us")),
    "endless": pa.array([2**63 - 1], pa.int64()).cast(pa.timestamp("ns")),
    "key twice": pa.array([[("k", "v"), ("k", "w")]], pa.map_(pa.string(), pa.string())),
    "nul in a member": pa.array([{"a\0b": "x"}]),
    "no text": pa.array([b"a\xff"], pa.binary()).view(pa.string()),
}


@pytest.mark.parametrize("kind", ROWS_ONLY)
def test_what_only_rows_can_say(tmp_path: Path, kind: str) -> None:
    column = ROWS_ONLY[kind]
    names = {"wrapper": ["_source"], "fields": ["fields"], "names alike": ["User", "uSER"]}.get(kind, ["x"])
    columns = [column] if column is not None else [pa.array(["1"]), pa.array(["2"])]
    table = pa.table([pa.array(["a"]), pa.array(["i"]), *columns], names=["event.category", "_index", *names])
    assert_same(
        rules("any where true", 'any where process.name == "x"', "any where x != null"), [write(table, tmp_path / "e")]
    )


def test_fields_in_maps(tmp_path: Path) -> None:
    labels = pa.array([[("env", "prod")], None, []], pa.map_(pa.string(), pa.string()))
    path = write(pa.table({"event.category": pa.array(["a"] * 3), "labels": labels}), tmp_path / "e.parquet")
    assert len(assert_same(rules('a where labels.env == "prod"'), [path])) == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    whole = write(processes(900), tmp_path / "e.parquet", row_group_size=100).read_bytes()
    paths = []
    for number, data in enumerate(
        [b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], whole[:-8] + b"\xff\xff\xff\x7fPAR1"]
    ):
        paths.append(tmp_path / f"{number}.parquet")
        paths[-1].write_bytes(data)
    paths.append(write(processes(0), tmp_path / "none.parquet"))
    paths.append(write(pa.table({}), tmp_path / "no columns.parquet"))
    assert_same(
        rules("any where true"), [*paths, tmp_path / "missing.parquet", write(processes(9), tmp_path / "z.parquet")]
    )


def test_a_damaged_page_hides_no_more_than_rows_do(tmp_path: Path) -> None:
    path = write(processes(600), tmp_path / "e.parquet", row_group_size=200, compression="snappy")
    whole, chance = path.read_bytes(), random.Random(3)
    for _ in range(12):
        at = chance.randrange(4, len(whole) - 3000)
        path.write_bytes(whole[:at] + bytes(24) + whole[at + 24 :])
        rows, columns = EventFiles([path]), EventFiles([path])
        expected = by_rows(KernelDetector(EVERY), rows)
        found = by_columns(KernelDetector(EVERY), columns)
        assert all(match in found for match in expected)
        assert columns.problems or found == expected or len(found) == 600
        assert rows.problems or found == expected


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(processes(40), tmp_path / "e.parquet")
    monkeypatch.setattr(arrow, "pq", None)
    assert not parquet.takes_columns(KernelDetector(EVERY))
    assert len(assert_same(rules("any where true"), [path])) == 40


def test_streams_and_the_reference_take_rows(tmp_path: Path) -> None:
    path = write(processes(40), tmp_path / "e.parquet")
    made = rules(SEQUENCE)
    stream = KernelDetector(made, stream=True)
    files = EventFiles([path])
    assert len(by_columns(stream, files)) == len(by_columns(ReferenceDetector(made), EventFiles([path]))) == 5
    assert said(stream, files)[0][0] == 40
    assert len(by_columns(KernelDetector(made), EventFiles([path]))) == 5


def test_links_and_folders(tmp_path: Path) -> None:
    write(processes(20), tmp_path / "[a]*.parquet")
    (tmp_path / "b.ndjson").write_bytes(b'{"event.category":"process"}\n')
    assert len(assert_same(rules("any where true"), [tmp_path])) == 21


HOSTILE = [
    "bash",
    'a "quote"',
    "back\\slash",
    "\x00\x01\x1f\x7f\n\r\t\b\f",
    "\u00e9\u0130\u017f \U0001f600",
    "",
    None,
    "%s%b{}",
    "x" * 70_000,
    "null",
    "BASH",
]
HOSTILE_RULES = (
    'any where process.name == "bash"',
    'any where process.name : ("*quote*", "*SLASH*", "?") or process.args : "*\\u{1f600}*"',
    'any where process.args == "" or length(process.name) > 60000',
    "any where process.name == null and process.pid > 3",
    "sequence by process.name with maxspan=1m [any where process.pid == 1] [any where process.pid == 2] "
    '[any where process.args : "*"]',
    "sequence by host.id, process.args with maxspan=1m [any where process.pid < 9] [any where process.pid >= 9]",
    "sample by process.name [any where process.pid == 1] [any where process.pid > 4]",
)


def hostile(rows: int, *, dotted: bool) -> Any:
    draw = random.Random(7)
    process = {
        "name": pa.array([draw.choice(HOSTILE) for _ in range(rows)]),
        "args": pa.array(
            [draw.choice([None, [], [None], draw.choices(HOSTILE, k=draw.randint(1, 3))]) for _ in range(rows)],
            pa.list_(pa.string()),
        ),
        "pid": pa.array([draw.choice([None, 1, 2, n % 12]) for n in range(rows)]),
    }
    host = {"id": pa.array([draw.choice(["h1", "h2", 'h"3', None]) for _ in range(rows)])}
    others = {'odd "name"': pa.array([n / 7 for n in range(rows)]), "flag": pa.array([n % 3 == 0 for n in range(rows)])}
    if dotted:
        inner = {f"process.{name}": array for name, array in process.items()} | {"host.id": host["id"]}
    else:
        gone = pa.array([n % 17 == 3 for n in range(rows)])
        others.pop('odd "name"')
        inner = {
            "process": pa.StructArray.from_arrays(list(process.values()), list(process), mask=gone),
            "host": pa.StructArray.from_arrays(list(host.values()), list(host)),
        }
    return pa.table({"@timestamp": times(rows), **inner, **others})


@pytest.mark.usefixtures("no_rows")
@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("dictionaries", [False, True])
def test_hostile_values(tmp_path: Path, dotted: bool, dictionaries: bool) -> None:
    path = write(hostile(300, dotted=dotted), tmp_path / "e.parquet", row_group_size=90, use_dictionary=dictionaries)
    found = assert_same(rules(*HOSTILE_RULES), [path])
    assert {rule for rule, _, _ in found} == {f"r{n}" for n in range(len(HOSTILE_RULES))}
