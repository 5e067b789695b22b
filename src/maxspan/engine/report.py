"""What a run did: how much went in, which rules ran, what could not be used. Nothing is left out in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from maxspan.engine.detector import Counters
from maxspan.errors import Problem
from maxspan.rules.model import SEVERITIES, Ruleset


@dataclass(slots=True)
class Report:
    """Figures of one run; they grow while it goes on and are complete once all matches have been taken.

    `counters` are the detector's own, `source_problems` what is wrong with whole files. `read_bytes` counts bytes on
    disk (compressed where the file is), `counters.bytes` bytes of lines. `alerts` counts detections by severity, not
    documents: a sequence is one. `shown` counts the results handed on, `hidden` those that were asked to be left out,
    `repeated` those with an id that another one had: the same events came in twice. `complete` is false until
    everything was read and matched, and stays so where the run was stopped.
    """

    engine: str = ""
    files: int = 0
    total_bytes: int = 0
    read_bytes: int = 0
    rules_run: int = 0
    rules_not_run: Counter[str] = field(default_factory=Counter)
    rule_errors: int = 0
    rule_warnings: int = 0
    counters: Counters = field(default_factory=Counters)
    source_problems: list[Problem] = field(default_factory=list)
    alerts: Counter[str] = field(default_factory=Counter)
    shown: int = 0
    hidden: int = 0
    repeated: int = 0
    elapsed_seconds: float = 0.0
    complete: bool = False

    def take_rules(self, ruleset: Ruleset) -> None:
        """Note which rules run and, by reason, how many do not."""
        self.rules_run = len(ruleset.runnable)
        self.rules_not_run = Counter(rule.not_runnable for rule in ruleset.not_runnable)
        self.rule_errors, self.rule_warnings = len(ruleset.errors), len(ruleset.warnings)

    @property
    def alerts_by_severity(self) -> list[tuple[str, int]]:
        """Give the counts that are not zero, the worst severity first."""
        return [(severity, self.alerts[severity]) for severity in reversed(SEVERITIES) if self.alerts[severity]]

    @property
    def events_per_second(self) -> float:
        return self.counters.events / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0

    @property
    def problems(self) -> list[Problem]:
        """Give what is wrong with files, then the first places of what is wrong with single events."""
        return [*self.source_problems, *self.counters.problems]

    @property
    def lost(self) -> int:
        """Count what could have held a match and could not be used: files, lines, events."""
        counters = self.counters
        broken = sum(problem.severity == "error" for problem in self.source_problems)
        return broken + counters.unreadable + counters.without_timestamp + counters.late + counters.evicted
