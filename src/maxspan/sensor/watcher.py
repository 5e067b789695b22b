"""The watch itself: events to the rules, matches to the alerts, and the books every minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from maxspan.alerts.group import group_of
from maxspan.engine.detector import Counters
from maxspan.engine.match import RuleMatch
from maxspan.errors import SensorError
from maxspan.sensor.alert_output import Alerts
from maxspan.sensor.collector import Collector
from maxspan.sensor.event_log import EventLog
from maxspan.sensor.ledger import Ledger
from maxspan.sensor.losses import Losses, window_of
from maxspan.sensor.memory import give_back
from maxspan.sources.chunk import Chunk

#: Chunks of this size decode fastest: they stay in the cache.
CHUNK_BYTES: Final = 65_536
LEDGER_S: Final = 60.0
LOOK_S: Final = 1.0
#: A file that cannot be written now and then is not told more often.
QUIET_S: Final = 60.0
#: After the end is asked for, what happened before is still taken for this long.
DRAIN_S: Final = 10.0
#: What lies between the end of the lateness and the look that finds it ended.
SETTLE_S: Final = 0.005
#: Batches that are read in a row before the rules have their turn.
CATCH_UP: Final = 4


class StreamDetector(Protocol):
    """Runs rules over a stream: matches come as soon as the lateness allows."""

    @property
    def counters(self) -> Counters: ...

    def feed(self, chunk: Chunk) -> list[RuleMatch]: ...

    def advance(self, now_ns: int) -> list[RuleMatch]:
        """Let the clock go on without events; gives what is decided by that."""

    def finish(self) -> list[RuleMatch]: ...


class Display(Protocol):
    """What tells people how the watch goes."""

    def before_alert(self) -> None: ...

    def note(self, text: str) -> None: ...

    def status(self, ledger: Ledger, alerts: Alerts, *, minute: bool) -> None: ...


class Watcher:
    """Runs rules over what a collector hands over until `stop` says so.

    `lateness_ms` is how long the detector waits for events that come out of order; `None` for a `detector` records
    only. Nothing that is written can stop the watch but the standard output itself.
    """

    def __init__(
        self,
        collector: Collector,
        alerts: Alerts,
        display: Display,
        *,
        detector: StreamDetector | None,
        events: EventLog | None = None,
        lateness_ms: int = 100,
    ) -> None:
        self.collector = collector
        self.alerts = alerts
        self.detector = detector
        self.events = events
        self.broken = ""
        #: Records that had come and were not read before the end; at least 1 where their number is not known.
        self.unread = 0
        self._display = display
        #: Until then matches may still wait for events that come out of order, or for a batch that comes anyway.
        self._settled_at = 0.0
        self._lateness_s = lateness_ms / 1000
        self._losses = Losses(time.time_ns())
        self._lines = 1
        self._failing: dict[str, tuple[str, float]] = {}
        self._anew: dict[str, int] = {}
        self._next_look = 0.0
        self._next_ledger = 0.0
        collector.keeps_events = events is not None

    def run(self, stop: Callable[[], bool], *, seconds: float | None = None) -> Ledger:
        """Watch until the end, and give the last reading of the books. Raises SinkError, ClosedPipe.

        A backend that breaks down ends the watch; `broken` says why then."""
        self._take(self.collector.start())
        started = time.monotonic()
        self._next_look, self._next_ledger = started, started + LEDGER_S
        end = started + seconds if seconds is not None else float("inf")
        try:
            while not stop() and (now := time.monotonic()) < end:
                settling = self._settled_at - now
                timeout = settling if settling > 0 else LOOK_S
                self._pass(max(1, int(1000 * min(timeout, end - now))))
                self._duties()
            self._drain()
        except SensorError as error:
            self.broken = str(error)
            self._display.note(f"the watch ends: {error}")
        return self._finish()

    def _pass(self, timeout_ms: int) -> None:
        """Take what comes within `timeout_ms`, and all that lies in the ring then.

        The clock of the rules goes on only when everything before has been read: else what lies in the ring would
        come too late for them. So it is looked at before a reading that finds nothing more."""
        lines = self.collector.poll(timeout_ms)
        if not self.collector.caught_up:
            self._settled_at = time.monotonic() + max(self._lateness_s, self.collector.backend.pace_s) + SETTLE_S
        for _ in range(CATCH_UP):  # all at once: the rules cost less by the chunk than by the event
            now_ns = time.time_ns()
            lines += self.collector.poll(0)
            if self.collector.caught_up:
                break
        self._take(lines)
        if self.collector.caught_up:
            self._advance(now_ns)

    def _drain(self) -> None:
        """Take what happened until now; say so when there is too much of it."""
        asked_ns, deadline = time.time_ns(), time.monotonic() + DRAIN_S
        while time.monotonic() < deadline:
            self._take(self.collector.poll(0))
            if self.collector.caught_up or self.collector.newest_ns >= asked_ns:
                return
        self.unread = sum(row.waiting for row in self.collector.ledger().rows)
        count = f"{self.unread:,} records" if self.unread else "records (audit does not tell how many)"
        self._display.note(f"{count} still waited when the watch ended: alerts that need them did not come")
        self.unread = self.unread or 1

    def _finish(self) -> Ledger:
        ledger = self._look()
        self._take([self.collector.ledger_line(ledger, time.time_ns())])
        if self.detector is not None:
            self._alert(self.detector.finish())
        return self.collector.ledger()

    def _take(self, lines: list[bytes]) -> None:
        """Keep lines and run the rules on them."""
        if not lines:
            return
        if self.events is not None:
            self.events.write(lines)
            flows = self.collector.flows
            flows.written, flows.not_written = self.events.written, self.events.not_written
            self._tell_failure("events", self.events)
        if self.detector is None:
            return
        for data, count in chunks(lines):
            chunk = Chunk(data, path="", first_line=self._lines)
            self._lines += count
            self._alert(self.detector.feed(chunk))

    def _advance(self, now_ns: int) -> None:
        if self.detector is not None:
            self._alert(self.detector.advance(now_ns))

    def _alert(self, matches: Iterable[RuleMatch]) -> None:
        looked = False
        for match in matches:
            group = group_of(match)
            if group is None:
                continue
            if not looked:
                self._look()
                looked = True
                self._display.before_alert()
            window = window_of(match)
            delay = (time.time_ns() - _latest(match)) / 1e6 if window is not None else None
            self.alerts.write(group, lost=self._losses.of(match), delay_ms=delay)
            if self.alerts.log is not None:
                self._tell_failure("alerts", self.alerts.log)

    def _duties(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_S
        ledger = self._look()
        minute = now >= self._next_ledger
        if minute:
            self._next_ledger = now + LEDGER_S
            self._take([self.collector.ledger_line(ledger, time.time_ns())])
            give_back()
        self._display.status(ledger, self.alerts, minute=minute)

    def _look(self) -> Ledger:
        ledger = self.collector.ledger()
        if new := self._losses.look(time.time_ns(), ledger.lost):
            self._display.note(f"{new:,} events were lost: alerts that need them cannot come ({ledger.lost:,} so far)")
        return ledger

    def _tell_failure(self, what: str, log: EventLog) -> None:
        """Say that a file cannot be written, and that it can again, once a minute at most; and each time that it was
        gone."""
        if log.anew != self._anew.get(what, 0):
            self._anew[what] = log.anew
            self._display.note(f"{log.path} was removed or moved away: {what} go to a new file of this name")
        before, told_at = self._failing.get(what, ("", float("-inf")))
        now = time.monotonic()
        if log.failure == before or now < told_at + QUIET_S:
            return
        self._failing[what] = (log.failure, now)
        if log.failure:
            text = f"cannot write {what} to {log.path}: {log.failure}; the watch goes on without, and counts"
        else:
            text = f"{what} are written to {log.path} again; {log.not_written:,} are missing there"
        self._display.note(text)


def _latest(match: RuleMatch) -> int:
    return max(event.timestamp_ns or 0 for event in match.events if event is not None)


def chunks(lines: list[bytes]) -> Iterable[tuple[bytes, int]]:
    """Join lines to chunks of about `CHUNK_BYTES`; gives each with its number of lines."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        part.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield b"\n".join(part) + b"\n", len(part)
            part, size = [], 0
    if part:
        yield b"\n".join(part) + b"\n", len(part)
