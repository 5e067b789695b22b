"""What every rule file of the project must have beside a query that is right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from maxspan.rules.model import Rule
from tests.rules_shipped.runner import name_of, own_rules, shipped

RULES = own_rules()
NOT_YET = {"aws_ssm_send_command_with_shell_parameters": "new_terms"}
SCORES = {"low": 21, "medium": 47, "high": 73, "critical": 99}
SECTIONS = ("### What it means", "### Questions to answer", "### What this rule cannot see", "### If it is real")


def test_nothing_is_wrong_with_any_file() -> None:
    assert [problem.render() for problem in shipped().problems] == []


def test_all_rules_run_but_those_whose_type_is_not_there_yet() -> None:
    assert {name_of(rule) for rule in RULES if not rule.runnable} == set(NOT_YET)
    for rule in RULES:
        if not rule.runnable:
            assert NOT_YET[name_of(rule)] == rule.type
            assert rule.not_runnable.startswith("not runnable yet")


def test_ids_and_names_are_unique() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=name_of)
class TestFile:
    def test_texts(self, rule: Rule) -> None:
        assert len(rule.description) > 150
        places = [rule.note.index(section) for section in SECTIONS]
        assert places == sorted(places)
        for section in SECTIONS[1:]:
            assert re.search(re.escape(section) + r"\n\n- ", rule.note)
        assert rule.setup.startswith("## Setup")
        assert rule.false_positives
        assert rule.author == ("The maxspan authors",)
        assert rule.license == "Apache-2.0"

    def test_severity_and_attack(self, rule: Rule) -> None:
        assert rule.risk_score == SCORES[rule.severity]
        assert rule.threat
        for entry in rule.threat:
            assert entry.techniques
            assert f"Tactic: {entry.tactic_name}" in rule.tags
        assert {"OS: Linux", "Use Case: Threat Detection", "Resources: Investigation Guide"} <= set(rule.tags)

    def test_reads_only_the_streams_that_it_names(self, rule: Rule) -> None:
        for category in ("process", "network", "file"):
            used = re.search(rf"\b{category} where", rule.query) or f"event.category:{category}" in rule.query
            assert bool(used) == any(f"events.{category}" in pattern for pattern in rule.index)

    def test_fields_that_only_maxspan_writes_are_optional(self, rule: Rule) -> None:
        """Elasticsearch refuses a query with a field that no index has, unless it is marked with `?`."""
        assert re.findall(r"(?<!\?)process\.Ext\.[\w.]+", rule.query) == []

    def test_lines_are_not_too_long(self, rule: Rule) -> None:
        text = Path(rule.path).read_text("utf-8")
        tomllib.loads(text)
        query = rule.query.strip()
        for line in text.replace(query, "").splitlines():
            assert len(line) <= 150
