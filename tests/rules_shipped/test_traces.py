"""What the rules find in recorded reverse shells and ordinary work. To pin anew: write `table()` to expected.tsv."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rules_shipped.runner import ROOT, matches, own_rules

EXPECTED = Path(__file__).with_name("expected.tsv")
TRACES = ROOT / "examples" / "traces"


def expected() -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for line in EXPECTED.read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        trace, _, found = line.partition("\t")
        pairs = (word.partition("=") for word in found.split())
        out[trace] = {rule: int(count) for rule, _, count in pairs}
    return out


def traces(folder: Path) -> dict[str, Path]:
    return {f"{path.parent.name}/{path.stem}": path for path in sorted(folder.glob("*/*.ndjson"))}


def table() -> str:
    """The whole table as expected.tsv holds it, without its first line."""
    rules = own_rules()
    rows = {trace: matches(rules, path.read_bytes()) for trace, path in traces(TRACES).items()}
    return "".join(
        f"{trace}\t{' '.join(f'{rule}={count}' for rule, count in row.items())}\n" for trace, row in rows.items()
    )


@pytest.mark.parametrize("trace", sorted(expected()))
def test_trace(trace: str) -> None:
    assert matches(own_rules(), traces(TRACES)[trace].read_bytes(), trace) == expected()[trace]


def test_every_trace_is_in_the_table() -> None:
    assert set(traces(TRACES)) == set(expected())


def test_every_attack_is_found_and_ordinary_work_is_left_alone() -> None:
    missed = [trace for trace, found in expected().items() if trace.startswith("attacks/") and not found]
    disturbed = [trace for trace, found in expected().items() if trace.startswith("benign/") and found]
    assert missed == []
    assert disturbed == []


def test_further_traces() -> None:
    """Traces that are not part of the project: at most one in twenty-five attacks missed, one ordinary alert."""
    shared = os.environ.get("MAXSPAN_SHARED")
    if not shared:
        pytest.skip("MAXSPAN_SHARED is not set")
    more = {trace: path for trace, path in traces(Path(shared) / "traces").items() if trace not in expected()}
    if not more:
        pytest.skip("all shared traces are among the examples")
    rules = own_rules()
    found = {trace: matches(rules, path.read_bytes(), trace) for trace, path in more.items()}
    attacks = [trace for trace in found if trace.startswith("attacks/")]
    missed = [trace for trace in attacks if not found[trace]]
    assert len(missed) * 25 <= len(attacks), missed
    assert sum(sum(row.values()) for trace, row in found.items() if trace.startswith("benign/")) <= 1
