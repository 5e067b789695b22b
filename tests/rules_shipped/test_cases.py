"""Every rule has events that it fires on, and near ones that it leaves alone: entries of `cases/RULE.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.rules_shipped.runner import lines, matches, name_of, own_rules

CASES = sorted((Path(__file__).parent / "cases").glob("*.toml"))
RULES = {name_of(rule): rule for rule in own_rules()}


def entries() -> list[Any]:
    out = []
    for path in CASES:
        for case in tomllib.loads(path.read_text("utf-8"))["case"]:
            out.append(pytest.param(path.stem, case, id=f"{path.stem}-{case['name'].replace(' ', '-')}"))
    return out


@pytest.mark.parametrize(("rule", "case"), entries())
def test_case(rule: str, case: dict[str, Any]) -> None:
    found = matches([RULES[rule]], lines(case["events"]))
    assert found == ({rule: case["alerts"]} if case["alerts"] else {})


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.runnable])
def test_every_rule_has_both_kinds(name: str) -> None:
    path = Path(__file__).parent / "cases" / f"{name}.toml"
    alerts = [case["alerts"] for case in tomllib.loads(path.read_text("utf-8"))["case"]]
    assert any(alerts)
    assert not all(alerts)
    assert len(alerts) >= 5


def test_every_file_of_cases_is_of_a_rule() -> None:
    assert {path.stem for path in CASES} <= RULES.keys()
