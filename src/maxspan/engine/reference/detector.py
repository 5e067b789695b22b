"""Rules over chunks, by the reference: every event is kept until the end, every rule looks at every event."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from maxspan.engine.detector import Counters
from maxspan.engine.limits import limit
from maxspan.engine.match import MatchedEvent, RuleMatch
from maxspan.engine.reference.condition import UNTYPED, Evaluator
from maxspan.engine.reference.event import Event, FieldNames, in_stage, make_event, shown_key
from maxspan.engine.reference.query import find
from maxspan.engine.reference.sequence import Found
from maxspan.errors import Problem
from maxspan.languages import plan
from maxspan.languages.constraints import pass_on
from maxspan.rules.model import Rule
from maxspan.schema.index_patterns import IndexPatterns, Told, told_by
from maxspan.sources.chunk import Chunk
from maxspan.sources.document import decode_line, flatten, unwrap

_encode = msgspec.json.Encoder().encode


class ReferenceDetector:
    """Runs rules in batch: all matches come from `finish`, rule by rule, each in the order of its last event.

    With `ignore_index` the rules' index patterns do not restrict them.
    """

    def __init__(self, rules: Iterable[Rule], *, ignore_index: bool = False) -> None:
        self.rules = [rule for rule in rules if rule.runnable and rule.plan is not None]
        self.ignore_index = ignore_index
        self.counters = Counters()
        self._events: list[tuple[MatchedEvent, dict[str, list[object]], Told]] = []

    def feed(self, chunk: Chunk) -> list[RuleMatch]:
        """Take in a chunk; unreadable lines are counted and noted."""
        self.counters.bytes += len(chunk.data)
        for number, line in enumerate(chunk.data.split(b"\n"), chunk.first_line):
            if line.strip():
                self._take(line, chunk.path, number)
        return []

    def _take(self, line: bytes, path: str, number: int) -> None:
        try:
            document = decode_line(line)
            hit = unwrap(document)
        except ValueError as error:
            self.counters.unreadable += 1
            self.counters.note(Problem("unreadable-line", str(error), path=path, line=number))
            return
        raw = line.strip() if hit.source is document else _encode(hit.source)
        fields = flatten(hit.source)
        position = self.counters.events
        self.counters.events += 1
        matched = MatchedEvent(raw, None, position, path, number, hit.index, hit.id)
        self._events.append((matched, fields, told_by(fields, hit.index)))

    def finish(self) -> list[RuleMatch]:
        """Run every rule over everything that was taken in."""
        out: list[RuleMatch] = []
        undated: set[int] = set()
        for rule in self.rules:
            out.extend(self._run(rule, undated))
        for position in sorted(undated):
            event = self._events[position][0]
            self.counters.note(
                Problem("no-timestamp", "an event without a timestamp", path=event.path, line=event.line)
            )
        self.counters.without_timestamp += len(undated)
        self.counters.matches += len(out)
        self._events = []
        return out

    def _run(self, rule: Rule, undated: set[int]) -> Iterable[RuleMatch]:
        query = rule.plan
        assert query is not None
        names = FieldNames(rule.timestamp_field, rule.tiebreaker_field or "event.sequence", rule.category_field)
        evaluator = Evaluator({**UNTYPED, names.timestamp: "date_nanos"}, seconds=True)
        patterns = IndexPatterns(() if self.ignore_index else rule.index)
        events = [
            make_event(matched.position, fields, names, evaluator)
            for matched, fields, told in self._events
            if patterns.apply_to(told)
        ]
        if isinstance(query, plan.SequenceQuery):
            undated.update(_undated(pass_on(query), events, names, evaluator))
        found = find(query, events, names, evaluator)
        if not isinstance(query, plan.SampleQuery):
            found = limit(found, query.pipes)
        for match in found:
            yield self._match(rule, query, match, evaluator)

    def _match(self, rule: Rule, query: plan.Query, found: Found, evaluator: Evaluator) -> RuleMatch:
        keys: tuple[object, ...] = ()
        if not isinstance(query, plan.EventQuery):
            by = query.keys(next(stage for stage in query.stages if not stage.missing))
            keys = shown_key(found.key, by, evaluator, sample=isinstance(query, plan.SampleQuery))
        return RuleMatch(rule, tuple(None if event is None else self._matched(event) for event in found.events), keys)

    def _matched(self, event: Event) -> MatchedEvent:
        kept = self._events[event.position][0]
        return MatchedEvent(kept.raw, event.timestamp_ns, kept.position, kept.path, kept.line, kept.index, kept.id)


def _undated(
    query: plan.SequenceQuery, events: Iterable[Event], names: FieldNames, evaluator: Evaluator
) -> Iterable[int]:
    """Give the positions of events that a sequence would have looked at if they had a timestamp."""
    for event in events:
        if event.timestamp_ns is None:
            if any(in_stage(event, stage, names, evaluator) for stage in plan.all_stages(query)):
                yield event.position
