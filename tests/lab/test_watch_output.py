"""What `maxspan watch` writes into its alert file is read back as alerts with their processes and their time."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.watch import Watch

from maxspan.alerts.build import build_alerts
from maxspan.alerts.encode import to_safe_json
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.rules.load import load_rules
from maxspan.sources.chunk import Chunk

ROOT = Path(__file__).resolve().parents[2]
TRACE = ROOT / "examples" / "traces" / "attacks" / "bash_tcp_i_oneshot.ndjson"


class Silent:
    def process(self, pid: int) -> None:
        raise AssertionError(f"nothing is started here, not even {pid}")


def test_alerts_of_a_trace(tmp_path: Path) -> None:
    if not TRACE.exists():
        pytest.skip("the example traces are not there")
    watch = Watch("bpf", ROOT / "rules", tmp_path, Silent())  # type: ignore[arg-type]
    data = TRACE.read_bytes()
    for line in data.splitlines():
        watch._take_event(line, 0.0)
    detector = ReferenceDetector(load_rules([ROOT / "rules"]))
    detector.feed(Chunk(data, str(TRACE), 1))
    matches = detector.finish()
    for match in matches:
        for document in build_alerts(match):
            watch._take_alert(to_safe_json(document), 2_000_000_000.0)
    alerts = watch.alerts(lambda _: True)
    assert sorted(alert.rule for alert in alerts) == sorted(match.rule.name for match in matches)
    assert {alert.rule for alert in alerts} >= {"Potential Reverse Shell", "Connected Process Becomes a Shell"}
    last = {
        match.rule.name: max(event.timestamp_ns or 0 for event in match.events if event is not None) / 1e9
        for match in matches
    }
    for alert in alerts:
        assert alert.entities & watch.parents.keys()
        assert alert.completed == pytest.approx(last[alert.rule], abs=0.002)
        assert alert.seen == 2_000_000_000.0
