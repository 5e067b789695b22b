"""The shape of alerts: what Elastic Security makes of the matches of an EQL rule."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from maxspan.alerts import build_alerts
from maxspan.alerts.build import iso_timestamp
from maxspan.rules.model import RiskScoreMapping, SeverityMapping, Threat
from tests.alerts.detections import SEQUENCE, a_rule, connection, groups, matches, started

ALERT = "kibana.alert."


def alerts(rule: Any, events: list[Any], **more: Any) -> list[dict[str, Any]]:
    return [alert for match in matches(rule, events) for alert in build_alerts(match, **more)]


def test_an_event_query_gives_one_alert_an_event() -> None:
    rule = a_rule("process where true", severity="high", risk_score=73, threat=(Threat("TA0002", "Execution"),))
    (alert,) = alerts(rule, [connection(), started()])
    assert alert["process"]["name"] == "sh"
    assert alert["event"] == {"category": ["process"], "type": ["start"], "action": "exec"}
    assert alert["event.kind"] == "signal"
    assert alert[ALERT + "original_event.kind"] == "event"
    assert alert[ALERT + "original_event.action"] == "exec"
    assert alert[ALERT + "original_time"] == alert["@timestamp"] == "2026-11-24T03:06:14.700Z"
    assert alert[ALERT + "depth"] == 1
    assert (alert[ALERT + "severity"], alert[ALERT + "risk_score"]) == ("high", 73)
    assert alert[ALERT + "rule.name"] == "A rule"
    assert alert[ALERT + "rule.uuid"] == alert[ALERT + "rule.rule_id"] == "rule-1"
    assert alert[ALERT + "rule.threat"][0]["tactic"]["name"] == "Execution"
    assert alert[ALERT + "rule.parameters"]["query"] == "process where true"
    assert alert[ALERT + "reason"] == 'bash started sh -i on victim: high alert "A rule".'
    assert ALERT + "building_block_type" not in alert
    (ancestor,) = alert[ALERT + "ancestors"]
    assert (ancestor["type"], ancestor["depth"], ancestor["index"]) == ("event", 0, "")
    assert alert[ALERT + "uuid"] == hashlib.sha256((ancestor["id"] + "rule-1").encode()).hexdigest()


def test_a_sequence_gives_building_blocks_and_their_shell() -> None:
    first, second, shell = alerts(a_rule(SEQUENCE, severity="high"), [connection(), started()])
    group = shell[ALERT + "uuid"]
    assert shell[ALERT + "group.id"] == first[ALERT + "group.id"] == second[ALERT + "group.id"] == group
    assert [block[ALERT + "group.index"] for block in (first, second)] == [0, 1]
    assert ALERT + "group.index" not in shell
    assert [block[ALERT + "building_block_type"] for block in (first, second)] == ["default", "default"]
    assert ALERT + "building_block_type" not in shell
    assert [alert[ALERT + "depth"] for alert in (first, second, shell)] == [1, 1, 2]
    assert len({first[ALERT + "uuid"], second[ALERT + "uuid"], group}) == 3
    assert [item["type"] for item in shell[ALERT + "ancestors"]] == ["event", "signal"] * 2
    assert [item["id"] for item in shell[ALERT + "ancestors"]][1::2] == [first[ALERT + "uuid"], second[ALERT + "uuid"]]
    assert shell["host"] == {"id": "h1", "name": "victim"}
    assert shell["event"] == {"category": [], "type": ["start"]}
    assert "destination" not in shell and "name" not in shell["process"]
    assert shell[ALERT + "original_time"] == "2026-11-24T03:06:14.000Z"
    assert shell["@timestamp"] == "2026-11-24T03:06:14.700Z"
    assert shell[ALERT + "reason"] == (
        'bash connected to 10.0.0.1:4242, then bash started sh -i on victim: high alert "A rule".'
    )


def test_ids_of_a_sequence_are_made_as_elastic_security_makes_them() -> None:
    first, second, shell = alerts(a_rule(SEQUENCE), [connection(), started()])
    one, two = first[ALERT + "ancestors"][0]["id"], second[ALERT + "ancestors"][0]["id"]
    whole = f"{one}rule-1{two}rule-1"
    assert first[ALERT + "uuid"] == hashlib.sha256(f"{whole}0".encode()).hexdigest()
    assert second[ALERT + "uuid"] == hashlib.sha256(f"{whole}1".encode()).hexdigest()
    told = f"{one}{first[ALERT + 'uuid']}{two}{second[ALERT + 'uuid']}rule-1"
    assert shell[ALERT + "uuid"] == hashlib.sha256(told.encode()).hexdigest()


def test_a_missing_event_has_no_block() -> None:
    query = "sequence by host.id with maxspan=5s [network where true] ![file where true] [process where true]"
    (group,) = groups(a_rule(query), [connection(), started()])
    assert [block[ALERT + "group.index"] for block in group.blocks] == [0, 1]
    assert group.missing == (2,)
    assert "then nothing came for step 2, then" in group.head[ALERT + "reason"]


def test_a_sample_is_a_group_too() -> None:
    query = "sample by host.id [network where true] [process where true]"
    (group,) = groups(a_rule(query), [connection(), started()])
    assert len(group.blocks) == 2 and group.head[ALERT + "depth"] == 2


def test_a_rule_does_not_alert_on_its_own_alerts() -> None:
    rule = a_rule("any where true")
    (alert,) = alerts(rule, [connection()])
    assert alerts(rule, [alert]) == []
    (of_another,) = alerts(a_rule("any where true", id="rule-2"), [alert])
    assert of_another[ALERT + "depth"] == 2
    assert [item["type"] for item in of_another[ALERT + "ancestors"]] == ["event", "signal"]
    assert alerts(rule, [of_another]) == []


def test_the_time_of_detection_can_be_given() -> None:
    (alert,) = alerts(a_rule("process where true"), [started()], detected_ns=1_800_000_000_000_000_000)
    assert alert["@timestamp"] == "2027-01-15T08:00:00.000Z"
    assert alert[ALERT + "original_time"] == "2026-11-24T03:06:14.700Z"


def test_an_event_without_time_gives_an_alert_without_time() -> None:
    (alert,) = alerts(a_rule("any where true"), [{"event.category": "process", "host.id": "h"}])
    assert "@timestamp" not in alert and ALERT + "original_time" not in alert


def test_severity_comes_from_the_event() -> None:
    rule = a_rule(
        "any where true",
        severity="low",
        severity_mapping=(
            SeverityMapping("vendor.level", "5", "critical"),
            SeverityMapping("vendor.level", "3", "medium"),
            SeverityMapping("vendor.word", "bad", "high"),
        ),
    )

    def severity(**event: Any) -> str:
        (alert,) = alerts(rule, [{"@timestamp": 1, "event.category": "x", **event}])
        assert alert[ALERT + "rule.severity"] == "low"
        return str(alert[ALERT + "severity"])

    assert severity() == "low"
    assert severity(vendor={"level": 5}) == "critical"
    assert severity(vendor={"level": ["3"]}) == "medium"
    assert severity(**{"vendor.level": 3, "vendor.word": "bad"}) == "high"
    assert severity(**{"vendor.level": 4}) == "low"


def test_event_severity_is_compared_as_a_whole_number() -> None:
    rule = a_rule("any where true", severity_mapping=(SeverityMapping("event.severity", "21", "high"),))
    seen = [alerts(rule, [{"@timestamp": 1, "event.severity": value}])[0][ALERT + "severity"] for value in (21, 22)]
    assert seen == ["high", "low"]


@pytest.mark.parametrize(
    ("value", "score"), [(90, 90), ("12.5", 12.5), ([10, 40], 40), (101, 21), (-1, 21), ("x", 21), (None, 21), (0, 0)]
)
def test_the_risk_score_comes_from_the_event(value: Any, score: float) -> None:
    rule = a_rule("any where true", risk_score=21, risk_score_mapping=(RiskScoreMapping("event.risk_score"),))
    (alert,) = alerts(rule, [{"@timestamp": 1, "event": {"category": "x", "risk_score": value}}])
    assert alert[ALERT + "risk_score"] == score
    assert alert[ALERT + "rule.risk_score"] == 21


def test_the_name_comes_from_the_event() -> None:
    rule = a_rule("any where true", rule_name_override="message")
    named = [alerts(rule, [{"@timestamp": 1, "message": value}])[0] for value in ("Bad thing", "", ["a", "b"], 7)]
    assert [alert[ALERT + "rule.name"] for alert in named] == ["Bad thing", "A rule", "A rule", "A rule"]
    assert named[0][ALERT + "rule.rule_name_override"] == "message"


def test_nothing_overrides_a_sequence() -> None:
    rule = a_rule(
        SEQUENCE,
        rule_name_override="host.name",
        severity_mapping=(SeverityMapping("host.name", "victim", "critical"),),
        risk_score_mapping=(RiskScoreMapping("process.pid"),),
    )
    for alert in alerts(rule, [connection(), started()]):
        assert (alert[ALERT + "rule.name"], alert[ALERT + "severity"]) == ("A rule", "low")
        assert alert[ALERT + "risk_score"] == 21


def test_the_category_field_can_be_overridden() -> None:
    rule = a_rule("process where true", event_category_override="kind.of")
    (alert,) = alerts(rule, [{"@timestamp": 1, "kind.of": "process"}, started()])
    assert alert["kind"] == {"of": "process"}
    assert alert[ALERT + "rule.parameters"]["event_category_override"] == "kind.of"


def test_a_building_block_rule_marks_its_alerts() -> None:
    (group,) = groups(a_rule("process where true", building_block_type="default"), [started()])
    assert group.head[ALERT + "building_block_type"] == "default" and group.is_building_block
    (group,) = groups(a_rule(SEQUENCE, building_block_type="default"), [connection(), started()])
    assert group.head[ALERT + "building_block_type"] == "default"
    (group,) = groups(a_rule(SEQUENCE), [connection(), started()])
    assert not group.is_building_block


def test_a_rule_that_kibana_exported_keeps_its_uuid() -> None:
    rule = a_rule("process where true", format="kibana", raw={"id": "saved-object", "rule_id": "rule-1"})
    (alert,) = alerts(rule, [started()])
    assert alert[ALERT + "rule.uuid"] == "saved-object"
    assert alert[ALERT + "rule.rule_id"] == "rule-1"


def test_there_is_no_limit_to_the_number_of_alerts() -> None:
    events = [started(**{"event.sequence": number}) for number in range(300)]
    assert len(alerts(a_rule("process where true", max_signals=100), events)) == 300


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_489_574_796_604_000, "2026-11-24T03:06:14.796604Z"),
        (1_795_489_574_796_604_001, "2026-11-24T03:06:14.796604001Z"),
        (-1_000_000, "1969-12-31T23:59:59.999Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
        (-(2**63), "1677-09-21T00:12:43.145224192Z"),
    ],
)
def test_times_are_written_exactly(time_ns: int, text: str) -> None:
    assert iso_timestamp(time_ns) == text
