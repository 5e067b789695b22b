"""Rules over event files: the one way from paths to matches."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

from maxspan.engine.detector import Detector
from maxspan.engine.match import RuleMatch
from maxspan.engine.report import Report
from maxspan.errors import UsageError
from maxspan.rules.model import Rule, Ruleset
from maxspan.sources.files import EventFiles

Engine: TypeAlias = Literal["kernel", "reference"]
ENGINES: Final[tuple[Engine, ...]] = ("kernel", "reference")

#: So many matches are held back, to give them in the order of time; with more, they come as they are found.
_HELD: Final = 2000


def default_engine() -> Engine:
    """Give the engine that runs if nothing else is said."""
    return "kernel"


def make_detector(rules: Iterable[Rule], *, engine: Engine | None = None, ignore_index: bool = False) -> Detector:
    """Make what runs `rules` over chunks; both engines give the same matches."""
    if engine == "reference":
        from maxspan.engine.reference.detector import ReferenceDetector

        return ReferenceDetector(rules, ignore_index=ignore_index)
    from maxspan.engine.kernel.detector import KernelDetector

    return KernelDetector(rules, ignore_index=ignore_index)


class Scan:
    """One pass of a rule set over event files: `matches` once, then read `report`.

    `paths` are files, folders, globs and `-` for standard input. What cannot be read is in the report and never stops
    the rest. `jobs` is the number of processes (only 1 so far).
    """

    def __init__(
        self,
        ruleset: Ruleset,
        paths: Sequence[str],
        *,
        engine: Engine | None = None,
        ignore_index: bool = False,
        jobs: int = 1,
    ) -> None:
        if jobs != 1:
            raise UsageError("only one job so far: leave out --jobs or give 1")
        self._detector = make_detector(ruleset.runnable, engine=engine, ignore_index=ignore_index)
        self.files = EventFiles(paths)
        self.report = Report(
            engine=engine or default_engine(),
            files=len(self.files.files),
            total_bytes=self.files.total_bytes,
            counters=self._detector.counters,
            source_problems=self.files.problems,
        )
        self.report.take_rules(ruleset)

    def matches(self, progress: Callable[[Report], None] | None = None) -> Generator[RuleMatch, None, None]:
        """Read everything and give the matches: in the order of time where they are few, else as they are found.

        `progress` is called after each chunk. The report is up to date whenever a match comes out, and also when the
        iterator is closed or an exception (an interrupt) ends it.
        """
        report, detector = self.report, self._detector
        begin = time.perf_counter()
        held: list[RuleMatch] | None = []
        try:
            for chunk in self.files.chunks():
                found = detector.feed(chunk)
                self._measure(begin)
                if progress is not None:
                    progress(report)
                if held is None:
                    yield from sorted(found, key=in_time)
                    continue
                held += found
                if len(held) > _HELD:
                    found, held = held, None
                    yield from sorted(found, key=in_time)
            report.read_bytes = report.total_bytes
            if progress is not None:
                progress(report)
            found, held = (held or []) + detector.finish(), None
            self._measure(begin)
            yield from sorted(found, key=in_time)
            report.complete = True
        except KeyboardInterrupt:
            yield from sorted(held or [], key=in_time)
            raise
        finally:
            self._measure(begin)

    def _measure(self, begin: float) -> None:
        report = self.report
        report.elapsed_seconds = time.perf_counter() - begin
        report.read_bytes = max(report.read_bytes, self.files.bytes_done)
        report.counters = self._detector.counters


def scan_matches(
    ruleset: Ruleset, paths: Sequence[str], *, engine: Engine | None = None, ignore_index: bool = False
) -> Iterator[RuleMatch]:
    """Run rules over event files and give the matches; see `Scan` for what could not be read."""
    return Scan(ruleset, paths, engine=engine, ignore_index=ignore_index).matches()


def in_time(match: RuleMatch) -> tuple[int, int, str, tuple[bytes, ...]]:
    """Sort key: time of the latest event, matches without one first; ties by earliest event, rule and content."""
    times = [event.timestamp_ns for event in match.events if event is not None and event.timestamp_ns is not None]
    raw = tuple(b"" if event is None else event.raw for event in match.events)
    return max(times, default=-(2**63)), min(times, default=-(2**63)), match.rule.id, raw
