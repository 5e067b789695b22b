"""The watch: alerts with what was lost in their window, files that fail, the end, and recordings."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.sensor.host import Host, execute, fork, leave, running
from tests.sensor.replay import ReplayBackend

from maxspan.alerts.group import AlertGroup
from maxspan.engine.match import RuleMatch
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.languages import eql
from maxspan.rules.model import Rule
from maxspan.sensor import watcher as watcher_module
from maxspan.sensor.alert_output import Alerts, LineSink, LossTold
from maxspan.sensor.backend import KindCounters
from maxspan.sensor.collector import Collector
from maxspan.sensor.event_log import EventLog
from maxspan.sensor.follow import Follow
from maxspan.sensor.recording import Recording
from maxspan.sensor.records import Record
from maxspan.sensor.screen import Screen, summary
from maxspan.sensor.watcher import CHUNK_BYTES, Watcher, chunks
from maxspan.sinks.style import console_for
from maxspan.sources.chunk import Chunk

RULE_TEXT = 'process where event.action == "exec" and process.name == "id"'
RULE = Rule(
    id="r", name="Somebody asks who he is", type="eql", language="eql", query=RULE_TEXT, plan=eql.parse(RULE_TEXT)
)


class Judge:
    """The reference as a stream: of a chunk at a time, which is enough for a rule of one event."""

    def __init__(self) -> None:
        self._all = ReferenceDetector([RULE])
        self.counters = self._all.counters
        self.advanced = 0

    def feed(self, chunk: Chunk) -> list[RuleMatch]:
        self._all.feed(chunk)
        one = ReferenceDetector([RULE])
        return [*one.feed(chunk), *one.finish()]

    def advance(self, now_ns: int) -> list[RuleMatch]:
        self.advanced += 1
        return []

    def finish(self) -> list[RuleMatch]:
        return []


class Kept:
    """Keeps the groups that it is given."""

    def __init__(self) -> None:
        self.groups: list[AlertGroup] = []

    def write(self, group: AlertGroup) -> None:
        self.groups.append(group)

    def close(self) -> None:
        return None


def stop_when(done: Callable[[], bool]) -> Callable[[], bool]:
    deadline = time.monotonic() + 20
    return lambda: done() or time.monotonic() > deadline


def watch(
    records: list[tuple[Record, bool]], *, events: EventLog | None = None, log: EventLog | None = None, broken: int = 0
) -> tuple[Watcher, Kept, str, Any]:
    host = Host()
    sink, told = Kept(), io.StringIO()
    backend = ReplayBackend(records, broken=broken, batch=2, live=True)
    collector = Collector(backend, hashes=False, read_all=lambda: [running(10, 5, 0, "/bin/sh")], table=host.table)
    watcher = Watcher(collector, Alerts(sink, log), Screen(told), detector=Judge(), events=events, lateness_ms=1)
    ledger = watcher.run(stop_when(lambda: not backend._records), seconds=20)
    return watcher, sink, told.getvalue(), ledger


def test_alerts_come_with_their_delay_and_the_books_balance(tmp_path: Path) -> None:
    log, events = EventLog(tmp_path / "alerts"), EventLog(tmp_path / "events")
    records = [
        (fork(20, 60, 10, 5), False),
        (execute(20, 60, "/usr/bin/id", "id"), False),
        (leave(20, 60), False),
    ]
    watcher, sink, told, ledger = watch(records, events=events, log=log)
    (group,) = sink.groups
    assert group.head["maxspan.lost_in_window"] == 0
    assert 0 <= group.head["maxspan.detection_delay_ms"] < 5000
    assert told == ""
    assert ledger.errors(drained=True) == []
    lines = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [line["event"]["action"] for line in lines] == ["already_running", "fork", "exec", "end", "ledger"]
    assert ledger.flows.written == len(lines) == watcher.detector.counters.events  # type: ignore[union-attr]
    assert json.loads((tmp_path / "alerts").read_text())["kibana.alert.rule.name"] == RULE.name


def test_an_alert_says_what_was_lost_in_its_window() -> None:
    records = [
        (execute(20, 60, "/usr/bin/id", "id"), False),
        *((fork(100 + number, 70), True) for number in range(7)),
        (execute(21, 61, "/usr/bin/id", "id"), False),
    ]
    _, sink, told, ledger = watch(records)
    # The loss happened before the first alert was told, between two looks at the counters.
    assert [group.head["maxspan.lost_in_window"] for group in sink.groups][-1] == 7
    assert ledger.lost == 7
    assert "7 events were lost" in told


def test_an_alert_with_losses_is_marked_on_every_form() -> None:
    _, sink, _, _ = watch([(fork(9, 9), True), (execute(20, 60, "/usr/bin/id", "id"), False)])
    (group,) = sink.groups
    for make in (LineSink, lambda console: LossTold(Kept(), console)):
        out = io.StringIO()
        make(console_for(out, width=500)).write(group)
        assert "! 1 event was lost in the window of this rule" in out.getvalue()


def test_a_full_disk_does_not_stop_the_alerts() -> None:
    full = EventLog(Path("/dev/full"))
    records = [(execute(20 + number, 60, "/usr/bin/id", "id"), False) for number in range(6)]
    watcher, sink, told, ledger = watch(records, events=full, log=EventLog(Path("/dev/full")))
    assert len(sink.groups) == 6
    assert told.count("cannot write events to /dev/full: No space left on device") == 1
    assert told.count("cannot write alerts to /dev/full") == 1
    assert ledger.flows.not_written == ledger.flows.fed == 8
    assert ledger.errors(drained=True) == []
    text = "\n".join(line.plain for line in summary(ledger, watcher.alerts, 1.0, None, full))
    assert "! 8 events could not be written" in text
    assert "! 6 alert documents could not be written" in text


def test_records_that_cannot_be_decoded_are_counted_and_the_watch_goes_on() -> None:
    _, sink, _, ledger = watch([(execute(20, 60, "/usr/bin/id", "id"), False)], broken=3)
    assert len(sink.groups) == 1
    assert ledger.flows.unreadable == 3
    assert ledger.lost == 3


def test_the_line_of_figures_is_wiped_before_anything_else_is_written() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    told = Terminal()
    host = Host()
    collector = Collector(ReplayBackend(), hashes=False, read_all=list, table=host.table)
    screen = Screen(told, console=console_for(told, colour="never"))
    screen.status(collector.ledger(), Alerts(None, None), minute=False)
    assert "0 alerts  0 events" in told.getvalue()
    screen.note("bad \x1b[2J thing")
    assert told.getvalue().count("\r\x1b[2K") == 2
    assert "\x1b[2J" not in told.getvalue()


def test_quiet_keeps_what_was_lost() -> None:
    told = io.StringIO()
    screen = Screen(told, quiet=True)
    screen.say("figures")
    screen.note("lost")
    assert told.getvalue() == "! lost\n"


def test_chunks_hold_whole_lines() -> None:
    lines = [b"x" * size for size in (10, CHUNK_BYTES + 1, 5, 5, CHUNK_BYTES, 1)]
    made = list(chunks(lines))
    assert b"".join(data for data, _ in made) == b"\n".join(lines) + b"\n"
    assert [count for _, count in made] == [2, 3, 1]


def test_only_a_process_and_its_descendants_are_followed() -> None:
    host = Host()
    lines = host.encoder.encode(
        [
            fork(20, 60, 10, 50),
            fork(30, 61, 20, 60),
            fork(40, 61, 10, 50),
            execute(30, 61, "/bin/a", "a"),
            leave(20, 60),
            fork(31, 62, 30, 61),
            fork(20, 90, 10, 50),
            execute(40, 61, "/bin/b", "b"),
        ]
    )
    follow = Follow(20)
    kept = [json.loads(line)["process"]["pid"] for line in follow.kept(lines)]
    assert kept == [20, 30, 30, 20, 31]
    assert follow.left_out == 3


def test_a_recording_runs_its_command_and_tells_its_status(tmp_path: Path) -> None:
    collector = Collector(ReplayBackend(), hashes=False, read_all=list, table=Host().table)
    recording = Recording(collector, EventLog(tmp_path / "x"), program=["sh", "-c", "exit 3"])
    begin = time.monotonic()
    recording.run(lambda: False, seconds=30)
    assert recording.status == 3
    assert time.monotonic() - begin < 10


def test_a_recording_ends_its_command_when_the_time_is_over(tmp_path: Path) -> None:
    collector = Collector(ReplayBackend(), hashes=False, read_all=list, table=Host().table)
    recording = Recording(collector, EventLog(tmp_path / "x"), program=["sleep", "60"])
    recording.run(lambda: False, seconds=0.3)
    assert recording.status == -15


def test_the_clock_of_the_rules_waits_for_what_lies_in_the_ring() -> None:
    class Clock(Judge):
        def __init__(self, backend: ReplayBackend) -> None:
            super().__init__()
            self.backend = backend
            self.waiting_at_advance: list[int] = []

        def advance(self, now_ns: int) -> list[RuleMatch]:
            self.waiting_at_advance.append(len(self.backend._records))
            assert now_ns <= time.time_ns()
            return []

    host = Host()
    records = [(fork(100 + number, 60), False) for number in range(500)]
    backend = ReplayBackend(records, batch=7, live=True)
    collector = Collector(backend, hashes=False, read_all=list, table=host.table)
    clock = Clock(backend)
    watcher = Watcher(collector, Alerts(None, None), Screen(io.StringIO()), detector=clock, lateness_ms=1)
    watcher.run(stop_when(lambda: bool(clock.waiting_at_advance)), seconds=20)
    assert set(clock.waiting_at_advance) == {0}


def test_processes_that_were_there_are_older_than_what_happened_while_they_were_read() -> None:
    backend = ReplayBackend([(fork(20, 60), False)], live=True)
    began = time.time_ns()
    collector = Collector(
        backend, hashes=False, read_all=lambda: [running(10, 5, 0, "/bin/sh")], table=Host().table, began_ns=began
    )
    first = json.loads(collector.start()[0])
    second = json.loads(collector.poll(0)[0])
    assert first["@timestamp"] < second["@timestamp"]


def test_a_backend_that_breaks_down_ends_the_watch_with_its_books() -> None:
    collector = Collector(ReplayBackend(broken=10_000), hashes=False, read_all=list, table=Host().table)
    told = io.StringIO()
    watcher = Watcher(collector, Alerts(None, None), Screen(told), detector=Judge(), lateness_ms=1)
    ledger = watcher.run(lambda: False, seconds=60)
    assert "unknown kind" in watcher.broken
    assert "the watch ends: a record of an unknown kind" in told.getvalue()
    assert ledger.flows.unreadable == 1001


def test_a_file_that_goes_is_said_and_begun_anew(tmp_path: Path) -> None:
    class Removing(Judge):
        def feed(self, chunk: Chunk) -> list[RuleMatch]:
            (tmp_path / "events").unlink(missing_ok=True)
            return super().feed(chunk)

    host = Host()
    backend = ReplayBackend([(fork(20 + number, 60), False) for number in range(4)], batch=2, live=True)
    collector = Collector(backend, hashes=False, read_all=lambda: [running(10, 5, 0, "/bin/sh")], table=host.table)
    told, events = io.StringIO(), EventLog(tmp_path / "events")
    watcher = Watcher(collector, Alerts(None, None), Screen(told), detector=Removing(), events=events, lateness_ms=1)
    ledger = watcher.run(stop_when(lambda: not backend._records), seconds=20)
    assert "was removed or moved away: events go to a new file of this name" in told.getvalue()
    assert events.anew >= 1
    assert ledger.errors(drained=True) == []


def test_a_standard_error_that_nobody_reads_does_not_end_the_watch() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    for file in (Broken(), None):
        screen = Screen(file)
        screen.note("lost")
        screen.say("figures")
        screen.before_alert()


def test_what_came_before_the_end_is_read_and_nothing_after_it() -> None:
    class Busy(ReplayBackend):
        """A host on which something happens all the time."""

        def poll(self, timeout_ms: int) -> list[Record]:
            if not self._records:
                self._records = [(fork(5000, 60), False)]
            return super().poll(timeout_ms)

    host = Host()
    backend = Busy([(fork(100 + number, 60), False) for number in range(50)], batch=5, live=True)
    collector = Collector(backend, hashes=False, read_all=list, table=host.table)
    told = io.StringIO()
    watcher = Watcher(collector, Alerts(None, None), Screen(told), detector=None, lateness_ms=1)
    begin = time.monotonic()
    watcher.run(lambda: True, seconds=20)
    assert time.monotonic() - begin < 5
    assert (watcher.unread, told.getvalue()) == (0, "")


def test_what_is_left_unread_at_the_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "DRAIN_S", 0.0)
    backend = ReplayBackend([(fork(100 + number, 60), False) for number in range(50)], batch=5)
    sent = KindCounters(seen=50, sent=50)
    backend.counters = lambda: {"fork": sent}  # type: ignore[method-assign]
    collector = Collector(backend, hashes=False, read_all=list, table=Host().table)
    told = io.StringIO()
    watcher = Watcher(collector, Alerts(None, None), Screen(told), detector=None, lateness_ms=1)
    watcher.run(lambda: True, seconds=20)
    assert watcher.unread == 50
    assert "50 records still waited when the watch ended" in told.getvalue()
