"""Rules over event files, alerts out: the engine's matches and the alerts that they become."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from maxspan.alerts.build import Alert
from maxspan.alerts.group import AlertGroup, group_of
from maxspan.engine.report import Report
from maxspan.engine.run import Engine, Scan
from maxspan.rules.model import Ruleset


def alert_groups(scan: Scan, progress: Callable[[Report], None] | None = None) -> Iterator[AlertGroup]:
    """Give the detections of a scan and note in its report those whose id came before (the same events twice)."""
    seen: set[bytes] = set()
    for match in scan.matches(progress):
        group = group_of(match)
        if group is None:
            continue
        key = bytes.fromhex(group.id)
        scan.report.repeated += key in seen
        seen.add(key)
        yield group


def scan_alerts(
    ruleset: Ruleset, paths: Sequence[str], *, engine: Engine | None = None, ignore_index: bool = False
) -> Iterator[Alert]:
    """Run rules over event files and give every alert document, building blocks before their shell alert."""
    for group in alert_groups(Scan(ruleset, paths, engine=engine, ignore_index=ignore_index)):
        yield from group.documents
