"""What every way of running rules looks like: chunks of lines go in, matches come out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from maxspan.engine.match import RuleMatch
from maxspan.errors import Problem
from maxspan.sources.chunk import Chunk


@dataclass(slots=True)
class Counters:
    """What went in, what could not be used, what was given up: nothing is dropped without a number here.

    `problems` keeps the first places of each kind (a bounded number); the counts are always complete.
    """

    events: int = 0
    bytes: int = 0
    unreadable: int = 0
    without_timestamp: int = 0
    late: int = 0
    evicted: int = 0
    matches: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def note(self, problem: Problem, *, keep: int = 20) -> None:
        """Keep a problem if fewer than `keep` of its code are kept; the caller counts it."""
        self.by_kind[problem.code] += 1
        if self.by_kind[problem.code] <= keep:
            self.problems.append(problem)


class Detector(Protocol):
    """Runs a fixed set of rules over chunks of events.

    In batch mode the matches may all come at `finish`, exact whatever the order of the lines. In stream mode they come
    from `feed` once the allowed lateness has passed.
    """

    counters: Counters

    def feed(self, chunk: Chunk) -> list[RuleMatch]: ...

    def finish(self) -> list[RuleMatch]: ...
