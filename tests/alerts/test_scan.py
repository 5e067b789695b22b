"""From rules and paths to alerts, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maxspan.alerts.scan import alert_groups, scan_alerts
from maxspan.engine.report import Report
from maxspan.engine.run import Scan, in_time, scan_matches
from maxspan.rules.model import Ruleset
from tests.alerts.detections import SEQUENCE, a_rule, connection, lines, matches, started

PROCESS = "process where true"


@pytest.fixture
def events(tmp_path: Path) -> str:
    path = tmp_path / "events.ndjson"
    path.write_bytes(lines([started(), connection()]) + b"{\n")
    return str(path)


def ruleset(*queries: str) -> Ruleset:
    rules = [a_rule(query, id=f"rule-{number}") for number, query in enumerate(queries)]
    return Ruleset((*rules, a_rule(id="other", not_runnable="not runnable yet: no")))


def test_alerts_of_a_scan(events: str) -> None:
    alerts = list(scan_alerts(ruleset(PROCESS, SEQUENCE), [events]))
    assert [alert["kibana.alert.rule.rule_id"] for alert in alerts] == ["rule-1"] * 3 + ["rule-0"]


def test_the_report_of_a_scan(events: str) -> None:
    scan = Scan(ruleset(PROCESS, SEQUENCE), [events])
    assert not scan.report.complete
    seen: list[Report] = []
    groups = list(alert_groups(scan, seen.append))
    report = scan.report
    assert len(groups) == 2 and report.complete and seen and seen[-1] is report
    assert (report.rules_run, report.rules_not_run) == (2, {"not runnable yet: no": 1})
    assert (report.files, report.counters.events, report.counters.unreadable, report.lost) == (1, 2, 1, 1)
    assert report.read_bytes == report.total_bytes == Path(events).stat().st_size
    assert report.elapsed_seconds > 0 and report.events_per_second > 0
    assert [problem.line for problem in report.problems] == [3]


def test_a_scan_that_is_left_is_not_complete(events: str) -> None:
    scan = Scan(ruleset(PROCESS, SEQUENCE), [events])
    found = scan.matches()
    next(found)
    found.close()
    assert not scan.report.complete and scan.report.elapsed_seconds > 0


def test_matches_come_in_the_order_of_time() -> None:
    given: list[Any] = [started("2026-11-24T03:06:16Z"), started("2026-11-24T03:06:15Z"), {"event.category": "process"}]
    found = sorted(matches(a_rule(PROCESS), given), key=in_time)
    assert [match.events[0].line for match in found if match.events[0]] == [3, 2, 1]


def test_matches_without_alerts(events: str) -> None:
    assert len(list(scan_matches(ruleset(PROCESS), [events]))) == 1
