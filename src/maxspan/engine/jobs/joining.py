"""Runs, in the order of the input, become one: sequences across borders, order, places, counters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter

from maxspan.engine.detector import Counters
from maxspan.engine.jobs.heads import runs_alone
from maxspan.engine.jobs.parts import Part
from maxspan.engine.jobs.run import RUN, Joined, PartResult, Place, Row, Summary
from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules
from maxspan.engine.kernel.gathered import Gathered, Sampled
from maxspan.engine.kernel.machine import Completed
from maxspan.engine.kernel.skipping import TIME
from maxspan.engine.kernel.survivors import LineStore
from maxspan.engine.match import MatchedEvent, RuleMatch
from maxspan.engine.reference.event import Ordinal
from maxspan.errors import Problem
from maxspan.languages import plan
from maxspan.sources.finding import shown

_KEPT_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Base:
    """What came before a run: so many events, and so many lines of the file in whose middle it begins."""

    events: int = 0
    path: str = ""
    lines: int = 0


class Joining:
    """Takes the results of runs in their order.

    A rule is `unsure` when its events were not in order, within a run or from one run to another.
    """

    def __init__(self, compiled: CompiledRules, counters: Counters) -> None:
        self.unsure: set[int] = set()
        self.counters = counters
        self.failure = ""
        self._rules = compiled.rules
        self._store = LineStore()
        self._gathered = Gathered(self._store)
        self._completed: dict[CompiledRule, list[Completed]] = {}
        self._alone = {rule.number for rule in compiled.rules if runs_alone(rule)}
        self._skipped: dict[int, int] = {}
        for number, (role, _) in enumerate(compiled.pieces):
            if role.rule.is_sequence and role.rule.names.timestamp == TIME and not role.begins:
                self._skipped[role.rule.number] = self._skipped.get(role.rule.number, 0) | 1 << number
        self._last: dict[Place, Ordinal] = {}
        self._passed: dict[str, tuple[int, int]] = {}
        self._states: dict[Place, bytes] = {}
        self._bases: dict[int, Base] = {}
        self._samples: dict[int, list[Sampled]] = {}
        self._seen: dict[int, set[int]] = {}
        self._path, self._lines = "", 0

    # --- parts of the first run that is not over ---------------------------------------------------------------------

    def begin(self, number: int, first: Part) -> None:
        """Note that the runs before this one are over."""
        path = shown(first.path)
        known = self._lines if first.kind == "range" and first.begin and path == self._path else 0
        self._bases[number] = Base(self.counters.events, path if known else "", known)

    def take(self, number: int, result: PartResult) -> Iterator[list[RuleMatch]]:
        """Give the matches of a part, chunk by chunk, and keep what only the end decides."""
        counters, base = self.counters, self._bases[number]
        counters.events += result.events
        counters.bytes += result.bytes
        counters.unreadable += result.unreadable
        counters.without_timestamp += result.without_timestamp
        left = {code: _KEPT_PROBLEMS - counters.by_kind[code] for code in result.by_kind}
        counters.by_kind.update(result.by_kind)
        for problem in result.problems:
            left[problem.code] -= 1
            if left[problem.code] >= 0:
                counters.problems.append(_placed(problem, base))
        for rule, hits in result.hits.items():
            for hit in hits:
                self._gathered.hit(self._rules[rule], hit)
        for rule, limited in result.limited.items():
            for item in limited:
                self._gathered.limit(self._rules[rule], item)
        self.take_samples(result.samples)
        for rows in result.chunks:
            found = [self._match(row) for row in rows]
            counters.matches += len(found)
            yield found

    def source_problems(self, number: int, result: PartResult) -> list[Problem]:
        """Give what is wrong with files, as far as a part met it."""
        return [_placed(problem, self._bases[number]) for problem in result.source_problems]

    def _match(self, row: Row) -> RuleMatch:
        rule, events = row
        return RuleMatch(self._rules[rule].rule, tuple(self._event(MatchedEvent(*event)) for event in events))

    def _event(self, event: MatchedEvent) -> MatchedEvent:
        base = self._bases[event.position // RUN]
        line = event.line + (base.lines if event.path == base.path else 0)
        return replace(event, position=base.events + event.position % RUN, line=line)

    def take_samples(self, samples: dict[int, list[Sampled]]) -> None:
        """Keep events of samples, which the end puts in their order."""
        for rule, items in samples.items():
            for item in items:
                item.survivor.keep(self._store)
                self._seen.setdefault(rule, set()).update(number for number, _ in item.keys)
            self._samples.setdefault(rule, []).extend(items)

    def complete_samples(self) -> list[int]:
        """Give the rules on samples for each of whose stages an event has come, in all runs together."""
        return [
            rule.number
            for rule in self._rules
            if isinstance(rule.query, plan.SampleQuery)
            and len(self._seen.get(rule.number, ())) == len(rule.query.stages)
        ]

    # --- the end of a run --------------------------------------------------------------------------------------------

    def states_for(self, summary: Summary) -> dict[Place, bytes]:
        """Check that a run is in order with those before it, and give what it may continue."""
        self.unsure |= summary.unsure
        for (rule, host), last in self._last.items():
            if host in summary.shut and self._meets(rule, summary.shut[host], last[0]):
                self.unsure.add(rule)
        for rule, host in self._states:
            if host in summary.shut and host in self._passed:
                passed_ns, passed = self._passed[host]
                alike = passed_ns if passed & self._skipped.get(rule, 0) else passed_ns - 1
                if self._meets(rule, summary.shut[host], alike):
                    self.unsure.add(rule)
        for (rule, host), (first, _) in summary.places.items():
            last_before = self._last.get((rule, host))
            if rule in self._alone and last_before is not None and first <= last_before:
                self.unsure.add(rule)
            passed_ns, passed = self._passed.get(host, (first[0], 0))
            own = self._skipped.get(rule, 0)
            if own and (first[0] < passed_ns or (first[0] == passed_ns and passed & own)):
                self.unsure.add(rule)
        self._forget_unsure()
        return {
            place: state for place, state in self._states.items() if place in summary.places or place[1] in summary.shut
        }

    def _meets(self, rule: int, shut: tuple[int, int], last_ns: int) -> bool:
        """Whether events of a rule that nothing waited for came after later ones, or may have at the same time."""
        own = self._skipped.get(rule, 0)
        return own != 0 and (shut[0] < last_ns or (shut[0] == last_ns and shut[1] & own != 0))

    def join(self, number: int, last: Part, summary: Summary, joined: Joined) -> None:
        """Take what a run found once it knew what was unfinished before it."""
        latest = [(place, last) for place, (_, last) in summary.places.items()]
        for place, ordinal in (*latest, *joined.reached.items()):
            self._last[place] = max(ordinal, self._last.get(place, ordinal))
        for place in [place for place in self._states if place in summary.places or place[1] in summary.shut]:
            del self._states[place]
        self._states.update(joined.states)
        for rule, seen in summary.seen.items():
            self._seen.setdefault(rule, set()).update(seen)
        for host, (passed_ns, passed) in summary.passed.items():
            before_ns, before = self._passed.get(host, (passed_ns, 0))
            if passed_ns > before_ns:
                self._passed[host] = passed_ns, passed
            elif passed_ns == before_ns:
                self._passed[host] = passed_ns, passed | before
        self.take_sequences(joined)
        self._forget_unsure()
        base = self._bases[number]
        self._path = shown(last.path)
        self._lines = summary.lines + (base.lines if self._path == base.path else 0)
        self.failure = self.failure or joined.failure or self._store.failure

    def take_sequences(self, joined: Joined) -> None:
        """Keep the sequences of a run."""
        for rule, sequences in joined.completed.items():
            for sequence in sequences:
                for hit in sequence.hits:
                    if hit is not None:
                        hit.survivor.keep(self._store)
                self._completed.setdefault(self._rules[rule], []).append(sequence)

    def _forget_unsure(self) -> None:
        for place in [place for place in self._states if place[0] in self.unsure]:
            del self._states[place]

    # --- the end -----------------------------------------------------------------------------------------------------

    def finish(self) -> Iterator[RuleMatch]:
        """Give what only the end decides, but for rules that are unsure."""
        for number, items in self._samples.items():
            for item in sorted(items, key=attrgetter("position")):
                self._gathered.sampled(self._rules[number], item)
        sure = [rule for rule in self._rules if rule.number not in self.unsure]
        for match in self._gathered.matches(sure, self._completed):
            yield RuleMatch(match.rule, tuple(event and self._event(event) for event in match.events), match.join_keys)

    def close(self) -> None:
        self._store.close()


def _placed(problem: Problem, base: Base) -> Problem:
    return replace(problem, line=problem.line + base.lines) if problem.line and problem.path == base.path else problem
