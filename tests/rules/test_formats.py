"""The three formats: what is read from each, and what is said when it does not fit."""

from __future__ import annotations

import json

import pytest

from maxspan.rules.model import RiskScoreMapping, SeverityMapping
from tests.rules.writing import codes, kibana_rule, only_problem, only_rule, parsed, toml_rule, underlined

ENDPOINT = """
[rule]
id = "e-1"
name = "A behaviour"
description = "What it does."
os_list = ["Linux", "macos"]
reference = ["https://example.org"]
version = "1.0.3"
license = "Elastic License v2"
query = '''
process where {query}
'''
[[actions]]
action = "kill_process"
field = "process.entity_id"
state = 0
[[optional_actions]]
action = "rollback"
[[threat]]
framework = "MITRE ATT&CK"
[threat.tactic]
id = "TA0002"
[internal]
min_endpoint_version = "8.0"
"""


def test_everything_of_a_detection_rule() -> None:
    head = """
author = ["me"]
description = "  What.  "
from = "now-9m"
interval = "1h"
index = ["logs-*"]
tags = ["OS: Linux", "Tactic: Execution"]
timestamp_override = "event.ingested"
rule_name_override = "message"
building_block_type = "default"
false_positives = "none"
max_signals = 7
note = "guide"
"""
    tail = """
[[rule.severity_mapping]]
field = "event.severity"
operator = "equals"
value = 3
severity = "critical"
[[rule.risk_score_mapping]]
field = "event.risk_score"
operator = "equals"
value = ""
[[rule.threat]]
framework = "MITRE ATT&CK"
[[rule.threat.technique]]
id = "T1059"
[[rule.threat.technique.subtechnique]]
id = "T1059.004"
[rule.threat.tactic]
id = "TA0002"
name = "Execution"
"""
    contents = parsed(toml_rule(head=head, tail=tail))
    rule = only_rule(contents)
    assert contents.problems == []
    assert (rule.author, rule.description, rule.os) == (("me",), "What.", ("linux",))
    assert (rule.lookback_ns, rule.interval_ns) == (540 * 10**9, 3600 * 10**9)
    assert rule.severity_mapping == (SeverityMapping("event.severity", "3", "critical"),)
    assert rule.risk_score_mapping == (RiskScoreMapping("event.risk_score"),)
    assert rule.technique_ids == ("T1059", "T1059.004")
    assert rule.threat[0].techniques[0].name == "Command and Scripting Interpreter"
    assert (rule.false_positives, rule.max_signals, rule.runnable) == (("none",), 7, True)
    assert rule.raw["rule"]["name"] == "A rule"


def test_a_rule_of_endpoint() -> None:
    contents = parsed(ENDPOINT.replace("{query}", "process.name == 'x'".replace("'", '"')))
    rule = only_rule(contents)
    assert contents.problems == []
    assert (rule.id, rule.format, rule.os, rule.version) == ("e-1", "endpoint", ("linux", "macos"), "1.0.3")
    assert [action["action"] for action in rule.actions] == ["kill_process"]
    assert [action["action"] for action in rule.optional_actions] == ["rollback"]
    assert rule.tactics == ("Execution",)
    assert rule.runnable


@pytest.mark.parametrize(
    "query, reason",
    [
        ("_arraysearch(process.thread.Ext.x, $e, $e.y == 1)", "_arraysearch"),
        ("descendant of [process where true]", "descendant of"),
        ("process.name == process.parent.name", "a comparison of a field with a field"),
        ('Effective_process.name == "x"', "Effective_process"),
    ],
)
def test_what_only_endpoint_can_do_is_told(query: str, reason: str) -> None:
    contents = parsed(ENDPOINT.replace("{query}", query))
    rule = only_rule(contents)
    assert rule.not_runnable.startswith("not runnable yet: ")
    assert reason in rule.not_runnable
    assert [problem for problem in contents.problems if problem.severity == "error"] == []


@pytest.mark.parametrize(
    "type_", ["query", "threshold", "new_terms", "threat_match", "esql", "machine_learning", "saved_query"]
)
def test_other_types_load_and_say_why_they_do_not_run(type_: str) -> None:
    contents = parsed(toml_rule().replace('type = "eql"', f'type = "{type_}"'))
    assert only_rule(contents).not_runnable.startswith("not runnable yet: ")
    assert contents.problems == []


LINES = "\n".join(json.dumps(kibana_rule(rule_id=f"r-{number}", name=f"N {number}")) for number in range(3))
SUMMARY = json.dumps({"exported_count": 3, "exported_rules_count": 3})


@pytest.mark.parametrize(
    "text, lines",
    [
        (LINES, [1, 2, 3]),
        (LINES + "\n" + SUMMARY + "\n", [1, 2, 3]),
        (LINES.replace("\n", "\r\n\r\n"), [1, 3, 5]),
        ("[" + LINES.replace("\n", ",\n") + "]", [1, 2, 3]),
        ('{"page": 1, "total": 3,\n "data": [' + LINES.replace("\n", ",\n") + "]}", [2, 3, 4]),
        ("\ufeff" + LINES, [1, 2, 3]),
    ],
)
@pytest.mark.parametrize("path", ["x.ndjson", "x.json", "export"])
def test_exports_of_kibana(text: str, lines: list[int], path: str) -> None:
    contents = parsed(text, path)
    assert contents.problems == []
    assert [(rule.id, rule.line) for rule in contents.rules] == [(f"r-{n}", line) for n, line in enumerate(lines)]
    assert all(rule.runnable and rule.format == "kibana" for rule in contents.rules)


def test_one_pretty_printed_rule() -> None:
    assert only_rule(parsed(json.dumps(kibana_rule(), indent=2), "x.json")).runnable


def test_a_broken_line_costs_only_itself() -> None:
    text = LINES.replace("\n", '\n{"rule_id": broken\n', 1)
    contents = parsed(text, "x.ndjson")
    assert [rule.id for rule in contents.rules] == ["r-0", "r-1", "r-2"]
    problem = only_problem(contents)
    assert (problem.code, problem.line) == ("rule-file-syntax", 2)


def test_an_error_in_the_query_of_an_export_says_where() -> None:
    text = json.dumps({"x": 1}) + "\n" + json.dumps(kibana_rule("process where\n  wrong(process.name)"))
    problem = only_problem(parsed(text, "x.ndjson"))
    assert (problem.line, problem.excerpt, problem.rule_name) == (2, "  wrong(process.name)", "A rule")
    assert underlined(problem).startswith("wrong")
    assert "line 2, column 3 of the query" in problem.message


def test_exception_items_of_an_export_are_counted() -> None:
    item = json.dumps({"list_id": "a", "item_id": "b", "type": "simple"})
    contents = parsed(LINES + "\n" + item + "\n" + item, "x.ndjson")
    assert codes(contents) == ["exceptions-not-applied"]
    assert "2 exception items" in contents.problems[0].message


@pytest.mark.parametrize("name", ["rule_id", "name", "type"])
def test_a_rule_without_what_it_needs_is_an_error(name: str) -> None:
    text = "\n".join(line for line in toml_rule().split("\n") if not line.startswith(f"{name} "))
    contents = parsed(text)
    if name == "rule_id":
        assert contents.rules == []
    assert "rule-missing-key" in codes(contents)
    assert any(name in problem.message for problem in contents.problems if problem.severity == "error")


def test_a_rule_without_a_query_cannot_run() -> None:
    contents = parsed(toml_rule(""))
    assert codes(contents) == ["rule-missing-key"]
    assert only_rule(contents).not_runnable


@pytest.mark.parametrize(
    "head, name",
    [("tags = 3", "tags"), ("note = []", "note"), ('max_signals = "a"', "max_signals"), ("filters = 1", "filters")],
)
def test_a_value_of_the_wrong_kind_is_an_error_and_the_rule_does_not_run(head: str, name: str) -> None:
    contents = parsed(toml_rule(head=head))
    problem = only_problem(contents)
    assert (problem.code, problem.severity) == ("rule-wrong-type", "error")
    assert name in problem.message and underlined(problem) == head.split(" = ")[1]
    assert "its file is wrong" in only_rule(contents).not_runnable


def test_dates_of_toml_become_text() -> None:
    text = toml_rule().replace(
        'maturity = "production"', "creation_date = 2024-01-02\nupdated_date = 2024-01-02T03:04:05Z"
    )
    rule = only_rule(parsed(text))
    assert rule.raw["metadata"] == {"creation_date": "2024-01-02", "updated_date": "2024-01-02T03:04:05+00:00"}
