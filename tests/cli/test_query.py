"""`maxspan query`: one EQL query, without a rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import maxspan as api
from tests.alerts.detections import connection, lines, started
from tests.cli.commands import maxspan

SEQUENCE = 'sequence by host.id with maxspan=5s [network where true] [process where event.type == "start"]'


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_bytes(lines([connection(), started(), started("2026-11-24T03:06:15Z", n=2), started(n=3)]))
    return path


def test_events_are_a_table(events: Path) -> None:
    done = maxspan("query", "process where true", events)
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == [
        "TIME                     HOST    USER  WHAT HAPPENED",
        "2026-11-24 03:06:14.700  victim  0     bash started sh -i",
    ]
    assert "3 matches\n4 events" in done.stderr


def test_sequences_are_stories(events: Path) -> None:
    done = maxspan("query", SEQUENCE + " | head 1", events)
    assert done.stdout.splitlines() == [
        "▌ match 1 · victim · 2026-11-24 03:06:14.000 UTC · 2 events in 0.70 s · by h1",
        "▌ bash 10  bash -i",
        "▌ ├── ① 10.0.0.2 → 10.0.0.1:4242  tcp  connection attempted",
        "▌ └── ② sh 11  sh -i  (exec, +0.70s)",
        f"▌ {events}:1, :2",
        "",
    ]


def test_a_missing_event_is_shown(events: Path) -> None:
    query = "sequence by host.id with maxspan=5s [network where true] ![file where true] [process where true]"
    assert "② nothing came" in maxspan("query", query, events).stdout
    table = maxspan("query", query, events, "--format", "table").stdout
    assert "(nothing came, as the query demands)" in table
    document = json.loads(maxspan("query", query + " | head 1", events, "--format", "ndjson").stdout)
    assert document["events"][1] is None and document["join_keys"] == ["h1"]


def test_fields_are_columns_and_documents(events: Path) -> None:
    fields = "@timestamp, process.args,n,,n"
    done = maxspan("query", "process where n == 2", events, "--fields", fields)
    assert done.stdout.splitlines() == [
        "@timestamp            process.args  n",
        "2026-11-24T03:06:15Z  sh, -i        2",
    ]
    for form in ("ndjson", "json"):
        shown = json.loads(
            maxspan("query", "process where n == 2", events, "--fields", fields, "--format", form).stdout
        )
        one = shown[0] if form == "json" else shown
        assert one == {"@timestamp": "2026-11-24T03:06:15Z", "process.args": ["sh", "-i"], "n": 2}
    missing = maxspan("query", "process where n == 2", events, "--fields", "no.such", "--format", "ndjson").stdout
    assert json.loads(missing) == {"no.such": None}


def test_events_come_out_as_they_went_in(events: Path) -> None:
    done = maxspan("query", "any where true", events, "--format", "ndjson")
    given = [json.loads(line) for line in events.read_text().splitlines()]
    assert sorted(done.stdout.splitlines()) == sorted(json.dumps(e, separators=(",", ":")) for e in given)


@pytest.mark.parametrize(
    "query", ["any where true", SEQUENCE, "sample by host.id [network where true] [process where true]"]
)
def test_the_same_matches_as_the_api(events: Path, query: str) -> None:
    given = [json.loads(line) for line in events.read_text().splitlines()]
    expected = [[dict(event) for event in match.events if event is not None] for match in api.query(query, given)]
    shown = [json.loads(line) for line in maxspan("query", query, events, "--format", "ndjson").stdout.splitlines()]
    found = [document.get("events", [document]) for document in shown]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, expected))


@pytest.mark.parametrize(
    ("query", "options", "numbers"),
    [
        ("process where true", ["--size", "1"], [2]),
        ("process where true", ["--size", "1", "--head"], [None]),
        ("process where true | head 2", ["--size", "1"], [None]),
        ("process where true | tail 2", ["--size", "1", "--head"], [2]),
        ("process where true", ["--size", "0"], []),
    ],
)
def test_size(events: Path, query: str, options: list[str], numbers: list[int | None]) -> None:
    done = maxspan("query", query, events, "--format", "ndjson", *options)
    assert [json.loads(line).get("n") for line in done.stdout.splitlines()] == numbers


def test_size_of_samples(events: Path) -> None:
    query = "sample by host.id [network where true] [process where true]"
    assert maxspan("query", query, events, "--format", "ndjson", "--size", "0").stdout == ""


def test_other_fields_for_time_tiebreaker_and_category(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(lines([{"when": 2000, "kind": "b", "n": 2}, {"when": 1000, "kind": "a", "n": 1}]))
    options = ["--timestamp-field", "when", "--event-category-field", "kind", "--tiebreaker-field", "n"]
    done = maxspan("query", "sequence [a where true] [b where true]", path, "--format", "ndjson", *options)
    assert [event["n"] for event in json.loads(done.stdout)["events"]] == [1, 2]


@pytest.mark.parametrize(
    ("query", "code"), [("process where a = 1", "equals-sign"), ("", ""), ("process where lenght(a) == 1", "")]
)
def test_a_wrong_query_is_underlined(events: Path, query: str, code: str) -> None:
    done = maxspan("query", query, events)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error[{code}" in done.stderr and "Traceback" not in done.stderr
    assert "^" in done.stderr or not query


def test_a_misspelt_field_is_asked_about(events: Path) -> None:
    done = maxspan("query", "process where process.comand_line == null", events)
    assert done.returncode == 0
    assert "warning[unknown-field]" in done.stderr and "did you mean `process.command_line`?" in done.stderr


def test_wrong_usage(events: Path, tmp_path: Path) -> None:
    assert maxspan("query", "any where true").returncode == 2
    assert maxspan("query", "any where true", events, "--head").returncode == 2
    assert maxspan("query", "any where true", tmp_path / "nowhere").returncode == 2
    assert maxspan("query", "any where true", events, "--format", "yaml").returncode == 2


def test_strict_and_broken_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(lines([started()]) + b"{oops\n")
    assert maxspan("query", "any where true", path).returncode == 0
    done = maxspan("query", "any where true", path, "--strict", "-q")
    assert done.returncode == 3 and "! 1 line could not be read" in done.stderr
    assert maxspan("query", "any where true", path, "-o", "/dev/full").returncode == 4
