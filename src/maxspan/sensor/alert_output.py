"""Where the alerts of a live watch go: standard output in one of three forms, and a file of NDJSON."""

from __future__ import annotations

from collections import Counter
from typing import Final

from rich.console import Console
from rich.text import Text

from maxspan.alerts.encode import to_safe_json
from maxspan.alerts.group import AlertGroup
from maxspan.alerts.reason import phrase_of
from maxspan.sensor.event_log import EventLog
from maxspan.sinks.reading import read
from maxspan.sinks.sink import Sink
from maxspan.sinks.style import BOLD, SEVERITY_STYLES, WARNING, clipped, joined, shown

LOST_IN_WINDOW: Final = "maxspan.lost_in_window"
DELAY: Final = "maxspan.detection_delay_ms"


class LineSink:
    """One line an alert, at once: time, severity, risk, rule, host and what happened."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, group: AlertGroup) -> None:
        reading = read(group)
        told = "; ".join(dict.fromkeys(phrase_of(event) for event in reading.events))
        severity = shown(f"{group.severity:<8}", SEVERITY_STYLES.get(group.severity, BOLD))
        line = joined(
            [
                Text(reading.time.removesuffix(" UTC")),
                severity,
                Text(f"{group.risk_score:>3g}"),
                shown(group.rule_name),
                clipped(reading.host),
                shown(told),
            ],
            "  ",
        )
        if lost := lost_of(group):
            line.append_text(Text(f"  ! {lost_text(lost)}", style=WARNING))
        self._console.print(line, soft_wrap=True)

    def close(self) -> None:
        self._console.file.flush()


class LossTold:
    """Prints with another sink, and says after an alert what was lost in the window of its rule."""

    def __init__(self, sink: Sink, console: Console) -> None:
        self._sink = sink
        self._console = console

    def write(self, group: AlertGroup) -> None:
        self._sink.write(group)
        if lost := lost_of(group):
            self._console.print(Text.assemble(("! ", WARNING), (lost_text(lost), BOLD)), soft_wrap=True)
            self._console.print()
        self._console.file.flush()

    def close(self) -> None:
        self._sink.close()


class Alerts:
    """Takes detections: marks them with what was lost, counts them, writes them to the sink and to the file."""

    def __init__(self, sink: Sink | None, log: EventLog | None) -> None:
        self._sink = sink
        self.log = log
        self.by_severity: Counter[str] = Counter()
        self.with_loss = 0
        self.slowest_ms = 0.0

    @property
    def total(self) -> int:
        return self.by_severity.total()

    def write(self, group: AlertGroup, *, lost: int, delay_ms: float | None) -> None:
        """Write a detection; `delay_ms` is the time from its latest event until now. Raises SinkError, ClosedPipe."""
        for document in group.documents:
            document[LOST_IN_WINDOW] = lost
            if delay_ms is not None:
                document[DELAY] = round(delay_ms, 1)
        self.by_severity[group.severity] += 1
        self.with_loss += lost > 0
        self.slowest_ms = max(self.slowest_ms, delay_ms or 0.0)
        if self.log is not None:
            self.log.write([to_safe_json(document) for document in group.documents])
        if self._sink is not None:
            self._sink.write(group)

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()
        if self.log is not None:
            self.log.close()


def lost_of(group: AlertGroup) -> int:
    return int(group.head.get(LOST_IN_WINDOW, 0))


def lost_text(lost: int) -> str:
    records = "event was" if lost == 1 else "events were"
    return f"{lost:,} {records} lost in the window of this rule: there may be more to it"
