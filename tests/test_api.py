"""The public names and their signatures: what may not change without a word in the changelog."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import maxspan

SIGNATURES = {
    "parse": "(text: 'str') -> 'plan.Query'",
    "evaluate": "(text: 'str', event: 'Event | None' = None, *, schema: 'Mapping[str, str] | None' = None) -> "
    "'plan.Constant'",
    "load_rules": "(paths: 'Paths') -> 'Ruleset'",
    "scan": "(rules: 'Ruleset | Paths', events: 'Paths', *, ignore_index: 'bool' = False) -> "
    "'Iterator[dict[str, Any]]'",
    "query": "(text: 'str', events: 'Iterable[Event]', *, timestamp_field: 'str' = '@timestamp', "
    "tiebreaker_field: 'str | None' = 'event.sequence', event_category_field: 'str' = 'event.category', "
    "schema: 'Mapping[str, str] | None' = None, size: 'int | None' = None, "
    "result_position: \"Literal['head', 'tail'] | None\" = None, max_samples_per_key: 'int' = 1) -> 'list[Match]'",
}
EVENTS = [
    {"@timestamp": 1000, "event": {"category": "network"}, "host.id": "h", "event.sequence": 1},
    {"@timestamp": 2000, "event": {"category": "process"}, "host": {"id": "h"}, "process.name": "bash"},
]
SEQUENCE = 'sequence by host.id with maxspan=5s [network where true] [process where process.name == "bash"]'


def test_the_public_names() -> None:
    assert maxspan.__all__ == [
        "Match",
        "MaxspanError",
        "Problem",
        "QueryError",
        "Rule",
        "RuleError",
        "Ruleset",
        "SensorError",
        "SinkError",
        "SourceError",
        "UsageError",
        "__version__",
        "evaluate",
        "load_rules",
        "parse",
        "query",
        "scan",
    ]
    assert all(hasattr(maxspan, name) for name in maxspan.__all__)
    assert dir(maxspan) == sorted(maxspan.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = maxspan.nonsense  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_signatures(name: str) -> None:
    assert str(inspect.signature(getattr(maxspan, name))) == SIGNATURES[name]
    assert inspect.getdoc(getattr(maxspan, name))


def test_query_takes_dictionaries_and_lines() -> None:
    lines = [json.dumps(event) for event in EVENTS]
    for events in (EVENTS, lines, [line.encode() for line in lines], iter(EVENTS)):
        (match,) = maxspan.query(SEQUENCE, events)
        assert match.positions == (0, 1)
        assert match.join_keys == ("h",)


def test_the_events_of_a_match_are_those_given() -> None:
    (match,) = maxspan.query(SEQUENCE, EVENTS)
    assert list(match.events) == EVENTS


def test_an_event_that_is_none() -> None:
    with pytest.raises(maxspan.SourceError, match="event 1 is no JSON object"):
        maxspan.query("any where true", [{}, "[1]"])


@pytest.mark.parametrize(
    "options", [{"size": -1}, {"max_samples_per_key": 0}, {"result_position": "middle"}], ids=lambda o: next(iter(o))
)
def test_impossible_options(options: dict[str, object]) -> None:
    with pytest.raises(maxspan.UsageError):
        maxspan.query("any where true", [], **options)  # type: ignore[arg-type]


def test_errors_know_their_place() -> None:
    with pytest.raises(maxspan.QueryError) as caught:
        maxspan.parse('process where\n  name = "bash"')
    error = caught.value
    assert (error.code, error.line, error.column) == ("equals-sign", 2, 8)
    assert "write ==" in error.hint
    assert str(error).splitlines()[2].endswith("^")


def test_evaluate() -> None:
    assert maxspan.evaluate('concat("a", 1)') == "a1"
    assert maxspan.evaluate("length(process.name)", {"process": {"name": "bash"}}) == 4
    assert maxspan.evaluate("length(process.name)", {}) is None


def test_importing_costs_nothing() -> None:
    code = "import sys, maxspan; print([m for m in ('msgspec', 're2', 'duckdb', 'rich', 'click') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_is_typed() -> None:
    assert (Path(maxspan.__file__).parent / "py.typed").exists()
