"""What is no error but worth a word; the rule runs all the same."""

from __future__ import annotations

import pytest

from tests.rules.writing import kibana_rule, only_problem, only_rule, parsed, toml_rule, underlined

SEQUENCE = "sequence by host.id with maxspan={}\n  [process where true]\n  [network where true]"
SUPPRESSION = '[rule.alert_suppression]\ngroup_by = ["host.id"]'
EXCEPTIONS = '[[rule.exceptions_list]]\nid = "a"\nlist_id = "b"\nnamespace_type = "single"\ntype = "detection"'
THREAT = '[[rule.threat]]\nframework = "MITRE ATT&CK"\n[[rule.threat.technique]]\nid = "{}"\nname = "{}"\n' + (
    '[rule.threat.tactic]\nid = "TA0002"'
)


@pytest.mark.parametrize(
    "text, code, place, hint",
    [
        (toml_rule(head='timestamp_overide = "x"'), "unknown-key", "timestamp_overide", "timestamp_override"),
        (toml_rule() + "[rules]\n", "unknown-key", "rules", "rule"),
        (toml_rule().replace('"high"', '"severe"'), "impossible-severity", '"severe"', "low, medium, high, critical"),
        (toml_rule().replace("73", "101"), "impossible-risk-score", "101", ""),
        (toml_rule().replace("73", "-1"), "impossible-risk-score", "-1", ""),
        (toml_rule().replace("73", "nan"), "impossible-risk-score", "nan", ""),
        (toml_rule(head='from = "yesterday"'), "unreadable-duration", '"yesterday"', "now-9m"),
        (toml_rule(SEQUENCE.format("1h")), "maxspan-longer-than-lookback", "maxspan=1h", "now-65m"),
        (toml_rule(tail=SUPPRESSION), "suppression-not-applied", "rule.alert_suppression", ""),
        (toml_rule(tail=EXCEPTIONS), "exceptions-not-applied", "rule.exceptions_list", "may alert"),
        (toml_rule(head='data_view_id = "v"'), "data-view-unknown", '"v"', ""),
        (toml_rule(tail=THREAT.format("T9999", "Unix Shell")), "unknown-attack-id", '"T9999"', "T1059.004"),
        (toml_rule(tail=THREAT.format("T1547.011", "x")), "outdated-attack-id", '"T1547.011"', ""),
        (toml_rule().replace('"production"', '"deprecated"'), "deprecated-rule", '"deprecated"', ""),
        (
            toml_rule('process where process.parent.nmae == "x"'),
            "unknown-field",
            "process.parent.nmae",
            "process.parent.name",
        ),
        (toml_rule('process where Process.name == "x"'), "unknown-field", "Process.name", "`process.name`"),
        (toml_rule("sample by host.idd\n [any where true]\n [any where true]"), "unknown-field", "host.idd", "host.id"),
    ],
)
def test_each_warning_has_a_place_and_a_remedy(text: str, code: str, place: str, hint: str) -> None:
    contents = parsed(text)
    problem = only_problem(contents)
    assert (problem.code, problem.severity) == (code, "warning")
    assert underlined(problem) == place
    assert problem.excerpt == text.split("\n")[problem.line - 1]
    assert hint in problem.hint
    assert only_rule(contents).runnable


def test_impossible_values_are_read_as_possible_ones() -> None:
    rule = only_rule(parsed(toml_rule().replace("73", "101").replace('"high"', '"severe"')))
    assert (rule.severity, rule.risk_score) == ("low", 100)


@pytest.mark.parametrize(
    "query",
    [
        'process where process.name == "x" and ?my.own.field == 1',
        'any where winlog.event_data.TargetUserNam == "x"',
        'any where labels.proces == "x"',
        "any where totally.other.words == 1",
    ],
)
def test_fields_of_ones_own_are_nobodys_business(query: str) -> None:
    assert parsed(toml_rule(query)).problems == []


def test_a_misspelt_field_is_told_once() -> None:
    contents = parsed(toml_rule('process where proces.name == "x" or proces.name == "y"'))
    assert only_problem(contents).code == "unknown-field"


def test_exports_have_the_same_warnings() -> None:
    import json

    contents = parsed(json.dumps(kibana_rule('process where proces.name == "x"', severity="bad")), "x.json")
    assert sorted(problem.code for problem in contents.problems) == ["impossible-severity", "unknown-field"]
    assert all(problem.line == 1 for problem in contents.problems)


def test_a_flood_of_problems_is_cut_and_said() -> None:
    head = "\n".join(f'zzz{number} = "x"' for number in range(60))
    contents = parsed(toml_rule(head=head))
    assert len(contents.problems) == 51
    assert contents.problems[-1].message.startswith("10 more problems")
