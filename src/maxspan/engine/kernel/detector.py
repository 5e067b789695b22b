"""Many rules over chunks of events, in batch or as a stream; the same matches as the reference finds."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from maxspan.engine.detector import Counters
from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules, Role
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.lanes import Lanes
from maxspan.engine.kernel.machine import Completed, Hit, Machine, in_order
from maxspan.engine.kernel.reader import Reader
from maxspan.engine.kernel.replay import Replay
from maxspan.engine.kernel.skipping import EVERY_HOST, Skipping
from maxspan.engine.kernel.survivors import LineStore, Survivor
from maxspan.engine.limits import limit
from maxspan.engine.match import MatchedEvent, RuleMatch
from maxspan.engine.reference.event import Event, make_event, shown_key
from maxspan.engine.reference.sample import find_samples
from maxspan.errors import Problem
from maxspan.languages import plan
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk

#: how far events may be out of order in a stream, if nothing else is said
LATENESS_NS = 30_000_000_000
#: keys kept for a sequence without a maxspan
MOST_KEYS = 100_000


class KernelDetector:
    """Runs rules over chunks.

    In batch the result is exact whatever the order of the lines: matches of event rules come from `feed`, all others
    from `finish`. With `stream`, sequences come from `feed` and `advance` once `lateness_ns` has passed; they are exact
    for events that are at most so late (per host), later ones are left out and counted in `counters.late`. State goes
    when `maxspan` has passed; of a sequence without one `most_keys` keys are kept, and what goes for that is counted in
    `counters.evicted`. With `ignore_index` index patterns do not restrict rules. With `skip` a batch passes over what
    can be no part of a sequence if events come in order; the rules for which they did not come in order are run once
    more over all events at the end, which are read again from their files, or kept in a temporary file if they come
    from elsewhere.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        *,
        ignore_index: bool = False,
        stream: bool = False,
        lateness_ns: int = LATENESS_NS,
        most_keys: int = MOST_KEYS,
        skip: bool = True,
    ) -> None:
        self.compiled = CompiledRules(rules, ignore_index=ignore_index)
        self.counters = Counters()
        self.rules = [rule.rule for rule in self.compiled.rules]
        sequences = any(rule.is_sequence for rule in self.compiled.rules)
        self._skipping = Skipping(self.compiled) if skip and not stream and sequences else None
        self._replay = Replay() if self._skipping is not None else None
        self._ignore_index = ignore_index
        self._reader = Reader(self.compiled, self.counters, self._skipping)
        self._store = LineStore()
        self._most_keys = most_keys
        self._lanes = Lanes(self.counters, lateness_ns, most_keys) if stream else None
        self._hits: dict[CompiledRule, list[Hit]] = {}
        self._samples: dict[CompiledRule, list[tuple[Event, Survivor, list[Role]]]] = {}
        self._limited: dict[CompiledRule, list[tuple[Event, Survivor]]] = {}

    # --- taking events -----------------------------------------------------------------------------------------------

    def feed(self, chunk: Chunk) -> list[RuleMatch]:
        """Take in a chunk; gives the matches that are certain by now."""
        out: list[RuleMatch] = []
        if self._replay is not None:
            self._note(self._replay, chunk)
        for candidate in self._reader.read(chunk):
            out += self._take(candidate)
        if self._lanes is not None:
            out += self._matches(self._lanes.released())
        self.counters.matches += len(out)
        return out

    def advance(self, now_ns: int) -> list[RuleMatch]:
        """Let time go on to `now_ns` (nanoseconds since 1970) without events; for streams."""
        if self._lanes is None:
            return []
        out = list(self._matches(self._lanes.advance(now_ns)))
        self.counters.matches += len(out)
        return out

    def _take(self, candidate: Candidate) -> Iterator[RuleMatch]:
        survivor: Survivor | None = None
        undated = False
        for part in self.compiled.parts(candidate.mask):
            rule = part.rule
            roles = part.held(candidate.fields)
            if not roles:
                continue
            query = rule.query
            if isinstance(query, plan.EventQuery) and not query.pipes:
                yield RuleMatch(rule.rule, (_matched(candidate, candidate.time_ns(rule.names.timestamp)),))
                continue
            if rule.is_sequence and candidate.time_ns(rule.names.timestamp) is None:
                undated = True
                continue
            survivor = survivor or self._survivor(candidate)
            if rule.is_sequence:
                self._sequence_hit(rule, roles, survivor, candidate)
                continue
            event = make_event(candidate.position, candidate.fields, rule.names, rule.evaluator)
            if isinstance(query, plan.EventQuery):
                self._limited.setdefault(rule, []).append((event, survivor))
            else:
                self._samples.setdefault(rule, []).append((_with_keys(event, roles), survivor, roles))
        if undated:
            self.counters.without_timestamp += 1
            problem = Problem(
                "no-timestamp", "an event without a timestamp", path=candidate.path, line=candidate.number
            )
            self.counters.note(problem)

    def _survivor(self, candidate: Candidate) -> Survivor:
        kept = candidate.raw if self._lanes is not None else self._store.keep(candidate.raw)
        if self._store.failure and not self.counters.by_kind["no-space"]:
            message = f"lines cannot be kept in a temporary file ({self._store.failure}): they stay in memory"
            self.counters.note(Problem("no-space", message, "warning", hint="set TMPDIR to a folder with room"))
        return Survivor(kept, candidate.position, candidate.path, candidate.number, candidate.index, candidate.id)

    def _sequence_hit(self, rule: CompiledRule, roles: list[Role], survivor: Survivor, candidate: Candidate) -> None:
        hit = Hit(candidate.ordinal(rule), survivor, [], [], [])
        for role in roles:
            keys = candidate.keys(role.by, rule)
            if not keys:
                continue
            if role.kind == "until":
                hit.until += keys
            else:
                chosen = hit.missing if role.kind == "missing" else hit.positive
                chosen += [(number, keys) for number in role.numbers]
        if not (hit.positive or hit.missing or hit.until):
            return
        hit.positive.sort(key=lambda part: part[0])
        hosts = candidate.hosts if rule.host_key else (EVERY_HOST,)
        if self._skipping is not None:
            for role in roles:
                if role.kind == "positive":
                    for host in hosts:
                        self._skipping.opened(role, host, hit.time_ns)
        if self._lanes is None:
            self._hits.setdefault(rule, []).append(hit)
        elif len(hosts) == 1:
            self._lanes.push(rule, hit, hosts[0])
        else:
            for host in hosts:
                self._lanes.push(rule, hit.of_host(host, rule.host_place or 0), host)

    # --- the end -----------------------------------------------------------------------------------------------------

    def finish(self) -> list[RuleMatch]:
        """Give what only the end decides; nothing can be fed afterwards."""
        out: list[RuleMatch] = []
        if self._lanes is not None:
            out += self._matches(self._lanes.finish())
        unsure = set() if self._skipping is None else self._skipping.unsure
        for rule, hits in self._hits.items():
            if rule in unsure:
                continue
            assert isinstance(rule.query, plan.SequenceQuery)
            found = in_order(self._sequences(rule.query, hits))
            out += self._matches((rule, sequence) for sequence in limit(found, rule.query.pipes))
        for rule, events in self._limited.items():
            assert isinstance(rule.query, plan.EventQuery)
            events.sort(key=lambda item: item[0].ordinal)
            for event, survivor in limit(events, rule.query.pipes):
                out.append(RuleMatch(rule.rule, (survivor.matched(self._store, event.timestamp_ns),)))
        for rule, sampled in self._samples.items():
            out += self._sample(rule, sampled)
        self._hits, self._limited, self._samples = {}, {}, {}
        if self._replay is not None:
            if unsure:
                out += self._once_more(self._replay, [rule.rule for rule in self.compiled.rules if rule in unsure])
            self._replay.close()
        self.counters.matches += len(out)
        self._store.close()
        return out

    def _note(self, replay: Replay, chunk: Chunk) -> None:
        try:
            replay.note(chunk)
        except OSError as error:
            message = f"events cannot be kept in a temporary file ({error.strerror or error})"
            hint = "set TMPDIR to a folder with room"
            self.counters.note(Problem("no-space", message, hint=hint, path=chunk.path, line=chunk.first_line))

    def _once_more(self, replay: Replay, rules: list[Rule]) -> list[RuleMatch]:
        """Run rules over all events again, whatever their order."""
        again = KernelDetector(rules, ignore_index=self._ignore_index, skip=False)
        out: list[RuleMatch] = []
        for chunk in replay.chunks():
            out += again.feed(chunk)
        out += again.finish()
        if replay.lost:
            message = f"{replay.lost} bytes of events that are not in order could not be read a second time"
            self.counters.note(Problem("changed-input", message, hint="do not change event files while they are read"))
            self.counters.late += max(1, self.counters.events - again.counters.events)
        return out

    def _sequences(self, query: plan.SequenceQuery, hits: list[Hit]) -> list[Completed]:
        hits.sort(key=lambda hit: hit.ordinal)
        machine = Machine(query, most_keys=sys.maxsize)
        found: list[Completed] = []
        for number, hit in enumerate(hits):
            if number % 256 == 0:
                found += machine.advance(hit.time_ns)
            found += machine.take(hit)
        found += machine.finish()
        return found

    def _sample(self, rule: CompiledRule, sampled: list[tuple[Event, Survivor, list[Role]]]) -> Iterator[RuleMatch]:
        """Find samples among the survivors: whether they fulfil a stage is known, so stages ask for that alone."""
        query = rule.query
        assert isinstance(query, plan.SampleQuery)
        survivors = {event.position: survivor for event, survivor, _ in sampled}
        member = plan.Field(_MEMBER)
        stages = tuple(
            plan.Stage(None, plan.Comparison("==", member, plan.Literal(number)), stage.by)
            for number, stage in enumerate(query.stages)
        )
        asked = plan.SampleQuery(query.by, stages)
        for found in find_samples(asked, [event for event, _, _ in sampled], rule.names, rule.evaluator, 1):
            keys = shown_key(found.key, query.keys(query.stages[0]), rule.evaluator, sample=True)
            chosen = [event for event in found.events if event is not None]
            yield RuleMatch(
                rule.rule,
                tuple(survivors[event.position].matched(self._store, event.timestamp_ns) for event in chosen),
                keys,
            )

    def _matches(self, found: Iterable[tuple[CompiledRule, Completed]]) -> Iterator[RuleMatch]:
        for rule, sequence in found:
            query = rule.query
            assert isinstance(query, plan.SequenceQuery)
            by = query.keys(next(stage for stage in query.stages if not stage.missing))
            events = tuple(
                None if hit is None else hit.survivor.matched(self._store, hit.time_ns) for hit in sequence.hits
            )
            yield RuleMatch(rule.rule, events, shown_key(sequence.key, by, rule.evaluator))


#: a field of our own that says which stages of a sample an event fulfils; no event can hold it
_MEMBER = "\0stage"


def _with_keys(event: Event, roles: list[Role]) -> Event:
    """Keep of an event's fields the keys alone, and which stages it fulfils."""
    fields = {key.name: list(event.fields.get(key.name, ())) for role in roles for key in role.by}
    fields[_MEMBER] = [number for role in roles for number in role.numbers]
    return Event(event.position, fields, event.timestamp_ns, event.ordinal)


def _matched(candidate: Candidate, timestamp_ns: int | None) -> MatchedEvent:
    return MatchedEvent(
        candidate.raw,
        timestamp_ns,
        candidate.position,
        candidate.path,
        candidate.number,
        candidate.index,
        candidate.id,
    )
