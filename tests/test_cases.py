"""Every case file of the query language, found by glob: adding a case is adding a file.

The format stands in tests/cases/README.md. A case says what a query finds (`expect`), what an expression gives
(`value`) or how a text is refused (`error`); from one that finds something three more facts follow and are checked:
the order of the lines does not matter, JSON lines and dictionaries mean the same, and the plan survives being printed.
"""

from __future__ import annotations

import json
import random
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import maxspan
from maxspan.languages import eql
from maxspan.sources.timestamps import parse_timestamp_ns

ROOT = Path(__file__).parent / "cases" / "eql"
SECTIONS = ("1", "2", "3", "4", "5", "6", "7", "8", "9.1", "9.2", "9.3", "9.4", "9.5", "9.6", "10")
OPTIONS = {
    "size",
    "result_position",
    "max_samples_per_key",
    "timestamp_field",
    "tiebreaker_field",
    "event_category_field",
}
ERROR_CODES = {
    "syntax",
    "single-quote",
    "equals-sign",
    "array-index",
    "unterminated-string",
    "bad-escape",
    "unterminated-comment",
    "unsupported-pipe",
    "unknown-pipe",
    "pipe-argument",
    "maxspan-unit",
    "maxspan-number",
    "with-before-by",
    "key-count",
    "too-few-stages",
    "runs-range",
    "missing-without-maxspan",
    "missing-only",
    "until-missing",
    "sample-without-key",
    "sample-option",
    "join-unsupported",
    "fork-unsupported",
    "of-unsupported",
    "number-range",
    "optional-string",
    "key-not-field",
    "unknown-function",
    "argument-count",
    "argument-type",
    "field-comparison",
    "not-boolean",
    "constant-required",
    "bad-regex",
    "bad-cidr",
    "type-mismatch",
    "unknown-field",
    "mixed-types",
}
KEYS = {
    "finds": {"about", "section", "query", "events", "dataset", "expect", "join_keys", "schema", "options"},
    "refuses": {"about", "section", "query", "error", "error_stage", "error_at", "error_hint", "schema"},
    "gives": {"about", "section", "expression", "value", "event"},
}


@cache
def load(name: str) -> dict[str, Any]:
    """Read one case and check its keys; a `dataset` becomes `events` (and `schema`, when it has one)."""
    case = tomllib.loads((ROOT / name).read_text(encoding="utf-8"))
    kind = kind_of(case)
    unused = set(case) - KEYS[kind] | set(case.get("options", ())) - OPTIONS
    assert not unused, f"{name}: unused keys {sorted(unused)}"
    assert case["about"].strip() and case["section"] in SECTIONS, name
    if "dataset" in case:
        assert "events" not in case, f"{name}: either events or dataset"
        data = ROOT / "data" / case["dataset"]
        case["events"] = data.with_suffix(".ndjson").read_text(encoding="utf-8")
        schema = data.with_suffix(".schema.toml")
        if schema.exists():
            case["schema"] = tomllib.loads(schema.read_text(encoding="utf-8")) | case.get("schema", {})
    return case


def kind_of(case: dict[str, Any]) -> str:
    if "expression" in case:
        return "gives"
    return "refuses" if "error" in case else "finds"


NAMES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("*/*.toml") if path.parent.name != "data")
FINDS, REFUSES, GIVES = (
    [name for name in NAMES if kind_of(tomllib.loads((ROOT / name).read_text(encoding="utf-8"))) == kind]
    for kind in ("finds", "refuses", "gives")
)


def lines_of(case: dict[str, Any]) -> list[str]:
    return [line for line in case["events"].splitlines() if line.strip()]


def run(case: dict[str, Any], events: list[Any]) -> list[maxspan.Match]:
    return maxspan.query(case["query"], events, schema=case.get("schema"), **case.get("options", {}))


def positions(matches: list[maxspan.Match]) -> list[list[int]]:
    """Give the positions of each match, -1 for the placeholder of a missing event, as the case files do."""
    return [[-1 if position is None else position for position in match.positions] for match in matches]


def shown(case: dict[str, Any]) -> str:
    return f"{case['about']}\n{case['query']}"


@pytest.mark.parametrize("name", FINDS)
def test_finds(name: str) -> None:
    case = load(name)
    documents = [json.loads(line) for line in lines_of(case)]
    matches = run(case, documents)
    assert positions(matches) == case["expect"], shown(case)
    if "join_keys" in case:
        assert [list(match.join_keys) for match in matches] == case["join_keys"], shown(case)
    for match in matches:
        found = [None if position is None else documents[position] for position in match.positions]
        assert list(match.events) == found


@pytest.mark.parametrize("name", FINDS)
def test_lines_and_dictionaries_mean_the_same(name: str) -> None:
    case = load(name)
    assert positions(run(case, [line.encode() for line in lines_of(case)])) == case["expect"]


@pytest.mark.parametrize("name", FINDS)
def test_plan_survives_printing(name: str) -> None:
    plan = maxspan.parse(load(name)["query"])
    printed = eql.format_query(plan)
    assert maxspan.parse(printed) == plan, printed


def instants(case: dict[str, Any], lines: list[str]) -> list[int | None]:
    """Give the time of each event in whole milliseconds, the coarsest that any schema compares."""
    field = case.get("options", {}).get("timestamp_field", "@timestamp")
    found = (parse_timestamp_ns(json.loads(line).get(field)) for line in lines)
    return [None if ns is None else ns // 1_000_000 for ns in found]


@pytest.mark.parametrize("name", FINDS)
def test_order_of_lines_does_not_matter(name: str) -> None:
    case = load(name)
    lines = lines_of(case)
    times = instants(case, lines)
    if None in times or len(set(times)) != len(times) or case["query"].lstrip().startswith("sample"):
        return  # the place in the input is part of the order here
    for order in (list(reversed(range(len(lines)))), random.Random(name).sample(range(len(lines)), len(lines))):
        shuffled = positions(run(case, [lines[index] for index in order]))
        original = [[index if index < 0 else order[index] for index in match] for match in shuffled]
        assert original == case["expect"], f"order {order}"


@pytest.mark.parametrize("name", REFUSES)
def test_refuses(name: str) -> None:
    case = load(name)
    if case.get("error_stage") == "schema":
        maxspan.parse(case["query"])  # only the schema makes it wrong
    with pytest.raises(maxspan.QueryError) as caught:
        if "schema" in case:
            maxspan.query(case["query"], [], schema=case["schema"])
        else:
            maxspan.parse(case["query"])
    error = caught.value
    assert error.code == case["error"], f"{case['about']}\n{error}"
    assert error.text == case["query"]
    assert 0 <= error.span.start <= error.span.end <= len(error.text)
    assert str(error)
    if "error_at" in case:
        assert error.text[error.span.start : error.span.end] == case["error_at"], str(error)
    if "error_hint" in case:
        assert case["error_hint"] in error.hint, str(error)


@pytest.mark.parametrize("name", GIVES)
def test_gives(name: str) -> None:
    case = load(name)
    expected = json.loads(case["value"])
    event = json.loads(case["event"]) if "event" in case else {}
    value = maxspan.evaluate(case["expression"], event=event)
    assert (type(value), value) == (type(expected), expected), f"{case['about']}\n{case['expression']}"


def test_enough_cases_for_every_section() -> None:
    cases = [load(name) for name in NAMES]
    assert len(cases) >= 250
    assert {case["section"] for case in cases} == set(SECTIONS)


def test_every_error_code_of_the_language_has_a_case() -> None:
    codes = {load(name)["error"] for name in REFUSES}
    assert codes >= ERROR_CODES, sorted(ERROR_CODES - codes)
