"""The last word: what was done, and everything that was not."""

from __future__ import annotations

import io
from collections import Counter

import pytest

from maxspan.engine.detector import Counters
from maxspan.engine.report import Report
from maxspan.errors import Problem
from maxspan.sinks import progress
from maxspan.sinks.progress import Progress, progress_line
from maxspan.sinks.reading import elapsed, moment
from maxspan.sinks.summary import counted, size, summary, trouble


def told(report: Report) -> list[str]:
    return [line.plain for line in summary(report)]


def good(**more: object) -> Report:
    counters = Counters(events=2000, bytes=1_234_567)
    settings = {"files": 2, "rules_run": 1, "counters": counters, "elapsed_seconds": 0.5, "complete": True, **more}
    return Report(**settings)  # type: ignore[arg-type]


def test_a_good_run_is_told_in_three_lines() -> None:
    report = good(shown=3, alerts=Counter(low=1, high=2))
    assert told(report) == [
        "3 alerts: 2 high, 1 low",
        "2,000 events (1.23 MB) from 2 files in 0.50 s, 4,000 events/s",
        "1 rule run",
    ]
    assert list(trouble(report)) == [] and report.lost == 0


def test_rules_that_did_not_run_are_told_with_the_reason() -> None:
    reasons = Counter({"not runnable yet: it is an ES|QL query": 1200, "something else": 1})
    assert told(good(rules_not_run=reasons, rule_errors=1, rule_warnings=2))[2:] == [
        "1 rule run, 1,201 not:",
        "  1,200  it is an ES|QL query",
        "      1  something else",
        "! 1 error in rules (maxspan rules check tells all)",
        "2 warnings about rules (maxspan rules check tells)",
    ]


def test_what_was_lost_is_told_with_its_places() -> None:
    report = good()
    report.counters.unreadable = 7
    for line in range(1, 8):
        report.counters.note(Problem("unreadable-line", "bad \x1b[1m", path="a.ndjson", line=line))
    report.counters.without_timestamp = 1
    report.counters.note(Problem("no-timestamp", "an event without a timestamp", path="b.ndjson", line=4))
    report.counters.late, report.counters.evicted = 3, 1
    report.source_problems.append(Problem("truncated", "ends too soon", path="c.gz", hint="copy it again"))
    assert report.lost == 7 + 1 + 3 + 1 + 1
    assert [line.plain for line in trouble(report)] == [
        "! c.gz: ends too soon",
        "    hint: copy it again",
        "! 7 lines could not be read",
        *(f"    a.ndjson:{line}: bad \\x1b[1m" for line in range(1, 6)),
        "    and 2 more",
        "! 1 event without a timestamp could not take part in sequences",
        "    b.ndjson:4: an event without a timestamp",
        "! 3 events came too late to be used",
        "! 1 unfinished sequence given up for want of memory",
    ]


def test_nothing_scanned_is_said_loudly() -> None:
    assert "! 0 events: nothing was scanned (no event file was found)" in told(good(files=0, counters=Counters()))
    assert "! 0 events: nothing was scanned (the file is empty)" in told(good(files=1, counters=Counters()))
    assert "! 0 events: nothing was scanned (all 2 files are empty)" in told(good(counters=Counters()))
    assert "! 0 events: nothing was scanned (no line could be read)" in told(good(counters=Counters(unreadable=1)))


def test_a_run_that_was_stopped_is_not_called_complete() -> None:
    report = good(complete=False, read_bytes=50, total_bytes=200)
    assert "! stopped after 25% of the input: what is told here is not all" in told(report)
    assert told(report)[0] == "0 alerts so far"


def test_hidden_and_repeated_results_are_told() -> None:
    report = good(shown=1, alerts=Counter(high=1), hidden=4, repeated=2)
    head = "1 alert: 1 high (4 more hidden by options) (2 repeats: the same events came in more than once)"
    assert told(report)[0] == head
    assert next(iter(summary(good(shown=2), "match"))).plain == "2 matches"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (2.5e9, "2.5 GB"), (3e15, "3,000.0 TB")],
)
def test_sizes(number: float, text: str) -> None:
    assert size(number) == text


def test_plurals() -> None:
    assert [counted(1, "match"), counted(2, "match"), counted(2000, "file")] == ["1 match", "2 matches", "2,000 files"]


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "0 µs"),
        (340_000, "340 µs"),
        (2_300_000, "2.3 ms"),
        (700_000_000, "0.70 s"),
        (59_999_000_000, "60.00 s"),
        (60_000_000_000, "1 min"),
        (245_000_000_000, "4 min 5 s"),
        (10_920_000_000_000, "3 h 2 min"),
        (187_200_000_000_000, "2 d 4 h"),
        (-2_300_000, "-2.3 ms"),
    ],
)
def test_durations(time_ns: int, text: str) -> None:
    assert elapsed(time_ns) == text


def test_moments() -> None:
    assert moment("2026-11-24T03:06:14.798060Z") == "2026-11-24 03:06:14.798 UTC"
    assert moment("12345.000") == "12345.000"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_for_long_scans_on_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    report = good(total_bytes=4_000_000, read_bytes=1_000_000)
    terminal, file = Terminal(), io.StringIO()
    on_terminal, on_file, hidden = Progress(terminal), Progress(file), Progress(Terminal(), shown=False)
    for draw in (on_terminal, on_file, hidden):
        draw(report)
    assert terminal.getvalue() == ""
    clock[0] += 1
    for draw in (on_terminal, on_file, hidden):
        draw(report)
    drawn = terminal.getvalue()
    assert drawn.startswith("\r\x1b[2Kscanning  ━━━━━━──────────────────  25%  1 MB of 4 MB  2,000 events  0:03 left")
    clock[0] += 0.01
    on_terminal(report)
    assert terminal.getvalue() == drawn
    on_terminal.clear()
    on_terminal.clear()
    assert terminal.getvalue() == drawn + "\r\x1b[2K"
    assert file.getvalue() == ""


def test_progress_says_when_it_matches_and_what_it_cannot_know() -> None:
    assert progress_line(good(total_bytes=10, read_bytes=10), 1) == "matching  2,000 events"
    assert progress_line(good(), 1) == "scanning  1.23 MB  2,000 events"
