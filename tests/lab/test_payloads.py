"""The payload table, attribution and the report: without machines."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from lab.attribute import attribute
from lab.benign import ACTIVITIES
from lab.errors import LabError
from lab.outcome import Alert, Outcome
from lab.payloads import load_payloads
from lab.related import RELATED
from lab.watch import Seen, Sensor

from lab import report
from maxspan.rules.load import load_rules

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_covers_what_it_should() -> None:
    payloads = load_payloads()
    assert len(payloads) >= 50
    assert len({payload.name for payload in payloads}) == len(payloads)
    assert {payload.transport for payload in payloads} == {"tcp", "tcp6", "udp", "tls", "tcp2", "http"}
    assert {payload.direction for payload in payloads} == {"reverse", "bind"}
    assert len(ACTIVITIES) >= 19


def test_every_placeholder_is_filled(tmp_path: Path) -> None:
    for payload in load_payloads():
        words = " ".join(payload.command(tmp_path, tmp_path))
        for name in ("HOST", "PORT", "HOME", "BUILT", "PROGRAMS", "BASE64"):
            assert f"@{name}@" not in words


def test_programs_that_are_built_exist() -> None:
    for payload in load_payloads():
        assert not payload.build or (ROOT / "lab" / "programs" / payload.build).is_file()


def test_a_wrong_key_is_told(tmp_path: Path) -> None:
    path = tmp_path / "payloads.toml"
    path.write_text('[x]\ntool = "sh"\nargv = ["sh"]\ncolour = "red"\n')
    with pytest.raises(LabError, match="colour"):
        load_payloads(path)


def test_related_activities_name_rules_that_ship() -> None:
    names = {rule.name for rule in load_rules([ROOT / "rules"])}
    assert {activity.expected for activity in RELATED} <= names


class Told:
    """What a sensor told: process `shell` (entity e2) is a child of what was started (pid 7, entity e1)."""

    backend = "bpf"
    parents: ClassVar = {"e1": "e0", "e2": "e1", "x1": "e0"}
    by_pid: ClassVar = {7: [(50.0, "old"), (100.0, "e1")]}

    def alerts(self, _: object) -> list[Seen]:
        return [
            Seen("mine", 101.5, 101.0, {"e2"}),
            Seen("other", 102.0, 101.0, {"x1"}),
            Seen("late", None, 3.0, {"e1"}),
        ]


def test_alerts_belong_to_the_tree_that_made_them() -> None:
    outcome = Outcome("a", "attack", "", worked=True, started=99.5, ended=103.0, roots=(7,))
    told: Sensor = Told()  # type: ignore[assignment]
    assert attribute(told, [outcome]) == ["other"]
    assert outcome.alerts["bpf"] == [Alert("mine", 0.5), Alert("late", None)]


def test_an_orphan_belongs_to_what_ran_on_its_machine_then() -> None:
    class Orphans(Told):
        parents: ClassVar = {"init": "runner", "o1": "init", "o2": "init", "c2": "o2"}
        by_pid: ClassVar = {1: [(10.0, "init")], 7: [(100.0, "o1")], 8: [(200.0, "o2")], 9: [(201.0, "c2")]}

        def alerts(self, _: object) -> list[Seen]:
            return [
                Seen("first", 1.0, 1.0, {"o1"}),
                Seen("second", 1.0, 1.0, {"c2"}),
                Seen("init's", 1.0, 1.0, {"init"}),
            ]

    first = Outcome("a", "attack", "", worked=True, started=99.5, ended=103.0, machines=(1,))
    second = Outcome("b", "attack", "", worked=True, started=199.5, ended=203.0, machines=(1,))
    told: Sensor = Orphans()  # type: ignore[assignment]
    assert attribute(told, [first, second]) == ["init's"]
    assert (first.rules("bpf"), second.rules("bpf")) == (["first"], ["second"])


def test_the_summary_counts() -> None:
    rows = [
        Outcome("a", "attack", "sh", worked=True, alerts={"bpf": [Alert("r", 0.25), Alert(report.FOUNDING, 0.5)]}),
        Outcome("b", "attack", "sh", worked=False, trouble="no | answer", alerts={"bpf": []}),
        Outcome("c", "attack", "sh", trouble="sh is not there"),
        Outcome("d", "benign", "x", worked=True, alerts={"bpf": [Alert("r", 1.0), Alert(report.FOUNDING, 1.0)]}),
        Outcome("e", "related", "x", worked=True, expected="r", alerts={"bpf": [Alert("r", None)]}),
    ]
    told = report.summary(rows, ["bpf"])
    assert (told["payloads"], told["shells"], told["skipped"]) == (2, 1, ["c"])
    assert told["bpf"]["caught"] == 1
    assert told["bpf"]["missed"] == ["b"]
    assert told["bpf"]["alerts_of_ordinary_work"] == 1
    assert told["bpf"]["related_fired"] == 1
    assert told["bpf"]["seconds_to_alert"] == {"median": 1.0, "p99": 1.0, "worst": 1.0}
    page = report.markdown(rows, ["bpf"], "watch")
    assert "no \\| answer" in page
    assert "Skipped: c." in page
