"""Rules over event files: the one way from paths to matches."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

from maxspan.engine.detector import Counters, Detector
from maxspan.engine.match import RuleMatch
from maxspan.engine.report import Report
from maxspan.errors import SourceError, UsageError
from maxspan.rules.model import Rule, Ruleset
from maxspan.sources.files import EventFile, EventFiles

Engine: TypeAlias = Literal["kernel", "reference"]
ENGINES: Final[tuple[Engine, ...]] = ("kernel", "reference")

#: So many matches are held back, to give them in the order of time; with more, they come as they are found.
_HELD: Final = 2000
#: Less than this is not worth more than one process, bytes: one reads it in a second, and others have to warm up first.
_SMALL: Final = 256 << 20
#: what a byte of a compressed file counts for
_COMPRESSED: Final = 8


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
    the rest. With `jobs` so many processes read the events; what comes out is the same. One reads what is small, and
    Parquet, by columns. When a worker process is lost (killed, out of memory), `report.source_problems` says so, no
    more matches come, and `report.complete` stays false.
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
        if jobs < 1:
            raise UsageError("there must be at least one job")
        if jobs > 1 and engine == "reference":
            raise UsageError("the reference engine runs in one process: leave out --jobs, or --engine reference")
        self.files = EventFiles(paths)
        if jobs > 1 and not _is_small(self.files):
            from maxspan.engine.jobs import JobsDetector

            self._source: _OneProcess | JobsDetector = JobsDetector(
                ruleset.runnable, self.files, jobs=jobs, ignore_index=ignore_index
            )
        else:
            self._source = _OneProcess(
                make_detector(ruleset.runnable, engine=engine, ignore_index=ignore_index), self.files
            )
        self.report = Report(
            engine=engine or default_engine(),
            files=len(self.files.files),
            total_bytes=self.files.total_bytes,
            counters=self._source.counters,
            source_problems=self.files.problems,
        )
        self.report.take_rules(ruleset)

    def matches(self, progress: Callable[[Report], None] | None = None) -> Generator[RuleMatch, None, None]:
        """Read everything and give the matches: in the order of time where they are few, else as they are found.

        `progress` is called after each chunk. The report is up to date whenever a match comes out, and also when the
        iterator is closed or an exception (an interrupt) ends it.
        """
        report, source = self.report, self._source
        begin = time.perf_counter()
        held: list[RuleMatch] | None = []
        try:
            for found in source.chunks():
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
            found, held = (held or []) + source.finish(), None
            self._measure(begin)
            yield from sorted(found, key=in_time)
            report.complete = True
        except KeyboardInterrupt:
            yield from sorted(held or [], key=in_time)
            raise
        except SourceError:  # a worker was lost: the report says so
            yield from sorted(held or [], key=in_time)
        finally:
            source.close()
            self._measure(begin)

    def _measure(self, begin: float) -> None:
        report = self.report
        report.elapsed_seconds = time.perf_counter() - begin
        report.read_bytes = max(report.read_bytes, self._source.bytes_done)
        report.counters = self._source.counters


class _OneProcess:
    """A detector and its input, as `Scan` sees them."""

    def __init__(self, detector: Detector, files: EventFiles) -> None:
        self._detector, self._files = detector, files

    @property
    def counters(self) -> Counters:
        return self._detector.counters

    @property
    def bytes_done(self) -> int:
        return self._files.bytes_done

    def chunks(self) -> Iterator[list[RuleMatch]]:
        if any(file.kind == "parquet" for file in self._files.files):
            from maxspan.engine.kernel.parquet import feed_files

            return feed_files(self._detector, self._files)
        return map(self._detector.feed, self._files.chunks())

    def finish(self) -> list[RuleMatch]:
        return self._detector.finish()

    def close(self) -> None:
        """There is nothing to end."""


def _is_small(files: EventFiles) -> bool:
    """Whether several processes would take longer: for little, and for Parquet, which one process reads by columns."""
    if any(file.kind != "parquet" and not file.size for file in files.files):
        return False  # nobody knows how much will come
    sizes = [file.size * (1 if _is_as_long(file) else _COMPRESSED) for file in files.files if file.kind != "parquet"]
    return sum(sizes) < _SMALL


def _is_as_long(file: EventFile) -> bool:
    return not str(file.path).endswith((".gz", ".zst", ".bz2", ".xz"))


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
