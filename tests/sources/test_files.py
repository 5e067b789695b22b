"""Event files in every form: the same events come out, and what cannot be read is said."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from maxspan.sources.document import decode_line, flatten, unwrap
from maxspan.sources.files import EventFiles
from maxspan.sources.timestamps import parse_timestamp_ns

EVENTS = [{"n": n, "text": f"line {n} " + "x" * (n % 7), "list": ["{", '"]', "\\"]} for n in range(25)]


def events_of(files: EventFiles) -> list[dict[str, Any]]:
    out = []
    for chunk in files.chunks():
        out += [unwrap(decode_line(line)).source for line in chunk.data.split(b"\n") if line.strip()]
    return out


def places(files: EventFiles) -> list[int]:
    """Give the line number of every event."""
    out = []
    for chunk in files.chunks():
        lines = chunk.data.split(b"\n")
        out += [number for number, line in enumerate(lines, chunk.first_line) if line.strip()]
    return out


def ndjson(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


FORMS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "ndjson": ndjson,
    "no newline at the end": lambda events: ndjson(events).rstrip(b"\n"),
    "crlf": lambda events: ndjson(events).replace(b"\n", b"\r\n"),
    "blank lines": lambda events: ndjson(events).replace(b"\n", b"\n\n \n"),
    "byte order mark": lambda events: b"\xef\xbb\xbf" + ndjson(events),
    "utf-16": lambda events: ndjson(events).decode().encode("utf-16"),
    "array": lambda events: json.dumps(events).encode(),
    "printed array": lambda events: json.dumps(events, indent=2).encode(),
    "printed documents": lambda events: b"\n".join(json.dumps(event, indent=2).encode() for event in events),
    "response": lambda events: json.dumps(
        {"took": 1, "hits": {"total": {"value": 3}, "hits": [{"_index": "i", "_source": e} for e in events]}}
    ).encode(),
    "printed response": lambda events: json.dumps(
        {"_shards": {"total": 1}, "hits": {"hits": [{"_id": "1", "_source": event} for event in events]}, "x": [{}]},
        indent=1,
    ).encode(),
    "export": lambda events: ndjson([{"_index": "i", "_id": str(n), "_source": e} for n, e in enumerate(events)]),
}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip members": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]) + b"\0" * 100,
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd frames": lambda data: zstandard.compress(data[:50]) + zstandard.compress(data[50:]),
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_bytes(COMPRESSIONS[compression](FORMS[form](EVENTS)))
    files = EventFiles([path], chunk_bytes=200)
    assert events_of(files) == EVENTS
    assert files.problems == []
    assert files.bytes_done == files.total_bytes == path.stat().st_size


plain_values = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
documents = st.dictionaries(st.sampled_from(["a", "b.c", "d"]), plain_values | st.lists(plain_values, max_size=2))


@given(
    st.lists(documents, min_size=1, max_size=8),
    st.integers(1, 200),
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(sorted(COMPRESSIONS)),
    st.integers(0, 8),
)
def test_the_way_they_are_kept_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[dict[str, Any]],
    chunk_bytes: int,
    form: str,
    compression: str,
    cut: int,
) -> None:
    folder = tmp_path_factory.mktemp("events")
    for name, part in (("a.json", events[:cut]), ("b.json", events[cut:])):
        if part:
            (folder / name).write_bytes(COMPRESSIONS[compression](FORMS[form](part)))
    assert events_of(EventFiles([folder], chunk_bytes=chunk_bytes)) == events


def test_lines_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(json.dumps([{"a": 1, "b": 2}, {"c": 3}], indent=2).encode())
    assert places(EventFiles([tmp_path / "a.json"])) == [2, 6]
    (tmp_path / "b.json").write_bytes(b'{"a":1}\n\n{"b":2}\nbroken\n{"c":3}')
    assert places(EventFiles([tmp_path / "b.json"], chunk_bytes=3)) == [1, 3, 4, 5]


def test_parquet(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "events.parquet"
    duckdb.execute(
        f"""COPY (SELECT i AS n, {{'name': 'bash', 'args': ['a', NULL]}} AS process, 'x' AS "host.id", NULL AS nothing,
        TIMESTAMP_NS '2024-05-01 10:00:00.123456789' AS "@timestamp" FROM range(5000) t(i)) TO '{path}'"""
    )
    events = events_of(EventFiles([path]))
    assert [event["n"] for event in events] == list(range(5000))
    assert events[0] == {
        "n": 0,
        "process": {"name": "bash", "args": ["a", None]},
        "host.id": "x",
        "@timestamp": "2024-05-01T10:00:00.123456789Z",
    }


def test_broken_parquet_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + b"\0" * 100)
    files = EventFiles([tmp_path / "a.parquet"])
    assert events_of(files) == []
    assert [problem.code for problem in files.problems] == ["broken-parquet"]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_cut_archive_gives_what_was_there(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = ndjson([{"n": n, "x": os.urandom(40).hex()} for n in range(5000)])
    whole = compress(data)
    (tmp_path / "a.json").write_bytes(whole[: len(whole) // 2])
    files = EventFiles([tmp_path / "a.json"])
    lines = b"".join(chunk.data for chunk in files.chunks())
    assert lines and data.startswith(lines)
    (problem,) = files.problems
    assert (problem.code, problem.path) == ("broken-archive", str(tmp_path / "a.json"))
    assert "too early" in problem.message


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_damaged_archive_is_said(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    whole = bytearray(compress(ndjson([{"n": n, "x": os.urandom(40).hex()} for n in range(5000)])))
    whole[len(whole) // 2 : len(whole) // 2 + 50] = b"\xff" * 50
    (tmp_path / "a.json").write_bytes(whole)
    files = EventFiles([tmp_path / "a.json"])
    assert list(files.chunks()) is not None
    assert [problem.code for problem in files.problems] == ["broken-archive"]


def test_other_archives_are_named(tmp_path: Path) -> None:
    import bz2

    (tmp_path / "a.json").write_bytes(bz2.compress(b"{}"))
    files = EventFiles([tmp_path / "a.json"])
    assert events_of(files) == []
    assert "bzip2" in files.problems[0].message


@pytest.mark.parametrize("text", [b'[{"a": 1}, {"b": ', b'[{"a": 1},', b'{\n"a": 1}\n{\n"b"'])
def test_json_that_ends_too_early(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    files = EventFiles([tmp_path / "a.json"])
    assert events_of(files) == [{"a": 1}]
    assert [problem.code for problem in files.problems] == ["unfinished-json"]


def test_what_is_no_event_in_an_array_is_handed_on(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'[{"a": 1}, 17, "text", [1], null, {"b": 2}, 5]')
    lines = [line for chunk in EventFiles([tmp_path / "a.json"]).chunks() for line in chunk.data.split(b"\n")]
    found = b" ".join(lines)
    assert b'{"a": 1}' in found and b'{"b": 2}' in found
    for odd in (b"17", b'"text"', b"[1]", b"null", b"5"):
        assert odd in found


def test_a_line_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maxspan.sources.lines.LONGEST_LINE", 1000)
    (tmp_path / "a.json").write_bytes(b'{"a":1}\n{"x":"' + b"y" * 5000 + b'"}\n{"b":2}\n')
    files = EventFiles([tmp_path / "a.json"], chunk_bytes=100)
    assert events_of(files) == [{"a": 1}, {"b": 2}]
    assert [(problem.code, problem.line) for problem in files.problems] == [("line-too-long", 2)]
    assert places(EventFiles([tmp_path / "a.json"], chunk_bytes=100)) == [1, 3]


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.ndjson", "a.ndjson", "sub/c.ndjson.gz", "notes.txt", ".hidden.ndjson"):
        (tmp_path / name).write_bytes(b"{}\n")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.ndjson").symlink_to(tmp_path / "a.ndjson")
    files = EventFiles([tmp_path / "b.ndjson", tmp_path, tmp_path / "*.ndjson"])
    assert [Path(file.path).name for file in files.files] == ["b.ndjson", "a.ndjson", "c.ndjson.gz"]
    assert [problem.code for problem in files.problems] == ["skipped-files"]


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    files = EventFiles([tmp_path / "nothing", tmp_path / "*.ndjson", tmp_path])
    assert [problem.code for problem in files.problems] == ["no-such-file", "no-such-file", "empty-folder"]
    assert list(files.chunks()) == []


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b'{"a":1}\n')
    files = EventFiles([tmp_path / "a.ndjson"])
    (tmp_path / "a.ndjson").unlink()
    assert events_of(files) == []
    assert [problem.code for problem in files.problems] == ["unreadable-file"]


def test_standard_input() -> None:
    code = "from maxspan.sources.files import EventFiles\nfor c in EventFiles(['-', '-']).chunks(): print(c)"
    data = gzip.compress(b'{"a":1}\n{"b":2}')
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == [
        """Chunk(data=b'{"a":1}\\n', path='<stdin>', first_line=1)""",
        """Chunk(data=b'{"b":2}', path='<stdin>', first_line=2)""",
    ]


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A bomb of 300 MB in 300 kB: the peak of the process stays far below what comes out."""
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=9) as file:
        for _ in range(300):
            file.write(b'{"a":1}\n' * 131072)
    (tmp_path / "a.ndjson").write_bytes(bomb.getvalue())
    code = (
        "import sys\nfrom maxspan.sources.files import EventFiles\n"
        "total = sum(len(c.data) for c in EventFiles([sys.argv[1]]).chunks())\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(total, int(status['VmHWM'].split()[0]) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.ndjson")], capture_output=True, check=True)
    total, peak = map(int, done.stdout.split())
    assert total == 300 * 8 * 131072
    assert peak < 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"hits":3,"a":1}\n{"hits":4,"a":2}\n', [{"hits": 3, "a": 1}, {"hits": 4, "a": 2}]),
        (b'{"took":3,"a":{"b":[1]}}\n{"a":2}', [{"took": 3, "a": {"b": [1]}}, {"a": 2}]),
        (b'{"took":1,"hits":{"hits":[{"_source":{"a":1}}]},"x":[{"y":1}]}\n{"a":2}', [{"a": 1}, {"a": 2}]),
        (
            b'{"took":1,"hits":{"hits":[{"_source":{"a":1}}]}}\n{"took":1,"hits":{"hits":[]}}\n{"a":2}',
            [{"a": 1}, {"a": 2}],
        ),
        (b'[{"a":1}]\n{"a":2,"p":{"x":1}}\n[{"a":3}]', [{"a": 1}, {"a": 2, "p": {"x": 1}}, {"a": 3}]),
        ('{"a":1}\n{"a":2}\n'.encode("utf-16-le"), [{"a": 1}, {"a": 2}]),
        ('[{"a":1},{"a":2}]'.encode("utf-16-be"), [{"a": 1}, {"a": 2}]),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 65536])
def test_mixed_forms_lose_nothing(text: bytes, expected: list[Any], chunk_bytes: int, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    files = EventFiles([tmp_path / "a.json"], chunk_bytes=chunk_bytes)
    assert events_of(files) == expected
    assert files.problems == []


@pytest.mark.parametrize("head", [b"[INFO] started", b"[2026-11-24T03:06:23] up", b"]", b"{ broken"])
def test_a_line_of_a_log_spoils_no_other(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(head + b'\n{"a":1,"p":{"x":1}}\n{"a":2}\n')
    lines = b"".join(chunk.data for chunk in EventFiles([tmp_path / "a.json"]).chunks()).split(b"\n")
    assert lines == [head, b'{"a":1,"p":{"x":1}}', b'{"a":2}', b""]


def test_a_bracket_that_closes_nothing_is_handed_on(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'[{"a":1}]]\n[{"a":2}]')
    lines = b"".join(chunk.data for chunk in EventFiles([tmp_path / "a.json"]).chunks()).split()
    assert lines == [b'{"a":1}', b"]", b'{"a":2}']


def test_utf16_that_ends_inside_a_character_gives_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(json.dumps(EVENTS).encode("utf-16") + b"\n")
    files = EventFiles([tmp_path / "a.json"])
    assert events_of(files) == EVENTS
    assert [problem.code for problem in files.problems] == ["bad-encoding"]


def test_a_long_string_in_an_array_takes_neither_time_nor_memory(tmp_path: Path) -> None:
    """A pattern that goes back through the string needs gigabytes and minutes for this."""
    (tmp_path / "a.json").write_bytes(b'[{"a":"' + b"x" * (30 << 20) + b'"},{"a":1}]')
    code = (
        "import resource, sys\nfrom maxspan.sources.files import EventFiles\n"
        "print(sum(len(c.data.split()) for c in EventFiles([sys.argv[1]]).chunks()))\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(int(status['VmHWM'].split()[0]) // 1024)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.json")]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    count, peak = map(int, done.stdout.split())
    assert count == 2
    assert peak < 400


def test_odd_things_in_folders_hide_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("a.json")
    (tmp_path / "b").symlink_to("b")
    os.mkfifo(tmp_path / "c.json")
    (tmp_path / "z.json").write_bytes(b'{"a":1}\n')
    files = EventFiles([tmp_path])
    assert events_of(files) == [{"a": 1}]
    told = sorted((problem.code, Path(problem.path).name) for problem in files.problems)
    assert told == [("skipped-files", "c.json"), ("skipped-files", tmp_path.name), ("unreadable-file", "a.json")]


def test_deep_folders(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        for _ in range(700):
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
        Path("a.json").write_bytes(b'{"a":1}\n')
    assert events_of(EventFiles([tmp_path])) == [{"a": 1}]


@pytest.mark.parametrize("name", ["e[1].parquet", "e*.parquet", "year=2024/e.parquet"])
def test_names_of_parquet_files_mean_nothing(name: str, tmp_path: Path) -> None:
    import duckdb

    (tmp_path / "year=2024").mkdir()
    for number, path in enumerate((tmp_path / "e1.parquet", tmp_path / "new")):
        duckdb.execute(f"COPY (SELECT {number} AS n) TO '{path}' (FORMAT parquet)")
    (tmp_path / "new").rename(tmp_path / name)
    files = EventFiles([tmp_path / name])
    assert events_of(files) == [{"n": 1}]
    assert files.problems == []


def test_times_in_parquet(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "a.parquet"
    duckdb.execute(
        f"""COPY (SELECT TIMESTAMPTZ '2026-01-01 00:00:00.123456+02' AS zone,
        {{'TIMESTAMP_NS': TIMESTAMP_NS '2026-01-01 00:00:00.123456789'}} AS nested,
        [TIMESTAMPTZ '2026-01-01 00:00:00Z'] AS list, DATE '2026-01-01' AS day) TO '{path}'"""
    )
    files = EventFiles([path])
    (event,) = events_of(files)
    times = {name: parse_timestamp_ns(values[0]) for name, values in flatten(event).items()}
    new_year = 1767225600 * 10**9
    assert times == {
        "zone": new_year - 7200 * 10**9 + 123456000,
        "nested.TIMESTAMP_NS": new_year + 123456789,
        "list": new_year,
        "day": new_year,
    }


def test_parquet_in_an_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(b"PAR1" + b"\0" * 100))
    files = EventFiles([tmp_path / "a.parquet.gz"])
    assert list(files.chunks()) == []
    assert [problem.code for problem in files.problems] == ["broken-archive"]
