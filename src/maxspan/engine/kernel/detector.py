"""Many rules over chunks of events, in batch or as a stream; the same matches as the reference finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from maxspan.engine.detector import Counters
from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules, Role
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.gathered import Gathered, Limited, sequence_match
from maxspan.engine.kernel.hits import hit_of, survivor_of
from maxspan.engine.kernel.in_order import InOrder
from maxspan.engine.kernel.lanes import Lanes, wait_of
from maxspan.engine.kernel.machine import Completed, Hit
from maxspan.engine.kernel.parked import ParkedEvents
from maxspan.engine.kernel.reader import ScanReader, make_reader
from maxspan.engine.kernel.replay import Replay
from maxspan.engine.kernel.skipping import EVERY_HOST, TIME, Skipping
from maxspan.engine.kernel.survivors import LineStore, Survivor
from maxspan.engine.kernel.turns import ScannedTurns, Turns, waiting
from maxspan.engine.match import MatchedEvent, RuleMatch
from maxspan.engine.reference.event import make_event
from maxspan.errors import Problem, UsageError
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
    `counters.evicted`. With `ignore_index` index patterns do not restrict rules. With `skip` a batch takes events
    as if they came in order: it passes over what can be no part of a sequence then, and forgets what is over. The
    rules for which they did not come in order are run once more over all events at the end, which are read again from
    their files, or kept in a temporary file if they come from elsewhere. Without it all that fulfils a stage is kept
    until the end. `compiled` are the rules where they are compiled already.
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
        compiled: CompiledRules | None = None,
    ) -> None:
        self.compiled = compiled or CompiledRules(rules, ignore_index=ignore_index)
        self.counters = Counters()
        self.rules = [rule.rule for rule in self.compiled.rules]
        sequences = any(rule.is_sequence for rule in self.compiled.rules)
        ordered = skip and not stream and sequences
        parks = sequences and (ordered or stream)
        self._skipping = Skipping(self.compiled, parks=parks) if parks else None
        self._replay = Replay() if ordered else None
        self._ignore_index = ignore_index
        self._reader = make_reader(self.compiled, self.counters, self._skipping, waits=stream)
        self._store = LineStore()
        self._in_order = InOrder(self._store) if ordered else None
        self._parked: ParkedEvents | None = None
        if self._skipping is not None and isinstance(self._reader, ScanReader):
            self._parked = ParkedEvents(self.compiled, self._skipping, self._reader)
        self._gathered = Gathered(self._store)
        self._lanes = self._new_lanes(lateness_ns, most_keys) if stream else None
        self._options = {"ignore_index": ignore_index, "lateness_ns": lateness_ns, "most_keys": most_keys}
        self._waits = self._waits_by_host = 0
        if stream:
            self._waits, self._waits_by_host = waiting(self.compiled)

    def _new_lanes(self, lateness_ns: int, most_keys: int) -> Lanes:
        reader, scanning = self._reader, self.compiled.scanning
        scanned: ScannedTurns | None = None
        if self._parked is not None and self._skipping is not None and scanning and isinstance(reader, ScanReader):
            wait_ns = wait_of(lateness_ns)
            scanned = ScannedTurns(self.compiled, self._skipping, self._parked, reader, scanning, wait_ns)
        turns = scanned or Turns(self.compiled, self._skipping, self._parked)
        return Lanes(self.counters, lateness_ns, most_keys, turns, scanned)

    # --- taking events -----------------------------------------------------------------------------------------------

    def feed(self, chunk: Chunk) -> list[RuleMatch]:
        """Take in a chunk; gives the matches that are certain by now."""
        out: list[RuleMatch] = []
        if self._replay is not None:
            self._note(self._replay, chunk)
        if self._parked is not None:
            self._parked.relieve(self._begin)
        for candidate in self._reader.read(chunk):
            if candidate.mask & self._waits:
                self._wait(candidate)
            if candidate.mask:
                self._take(candidate, out)
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

    def _wait(self, candidate: Candidate) -> None:
        """Let a candidate of a stream wait for its turn in the sequences; takes off its mask what waits."""
        assert self._lanes is not None
        hosts = candidate.hosts
        if len(hosts) > 1 or candidate.time_ns(TIME) is None:
            return
        waits = candidate.mask & self._waits
        ordinal = candidate.ordinal(self.compiled.pieces[waits.bit_length() - 1][0].rule)
        for mask, name in ((waits & self._waits_by_host, hosts[0]), (waits & ~self._waits_by_host, EVERY_HOST)):
            if mask and self._lanes.wait(candidate, ordinal, mask, name):
                candidate.mask &= ~mask

    def _take(self, candidate: Candidate, out: list[RuleMatch]) -> None:
        survivor: Survivor | None = None
        undated = False
        for part in self.compiled.parts(candidate.mask):
            rule = part.rule
            if part.opener is not None and self._in_order is not None:
                text = candidate.key_of_texts(part.opener)
                if candidate.time_ns(rule.names.timestamp) is not None and (
                    text is not None or len(candidate.keys(part.opener.by, rule)) == 1
                ):
                    survivor = survivor or survivor_of(candidate)
                    self._open(rule, part.opener, candidate, text, survivor)
                    continue
            roles = part.held(candidate.fields)
            if not roles:
                continue
            query = rule.query
            if isinstance(query, plan.EventQuery) and not query.pipes:
                out.append(RuleMatch(rule.rule, (_matched(candidate, candidate.time_ns(rule.names.timestamp)),)))
                continue
            if rule.is_sequence and candidate.time_ns(rule.names.timestamp) is None:
                undated = True
                continue
            survivor = survivor or survivor_of(candidate)
            if rule.is_sequence:
                hit = hit_of(candidate, rule, roles, survivor)
                if hit is not None:
                    self._sequence_hit(rule, roles, hit, candidate)
            elif isinstance(query, plan.EventQuery):
                event = make_event(candidate.position, candidate.fields, rule.names, rule.evaluator)
                self._gathered.limit(rule, Limited(event.ordinal, event.timestamp_ns, survivor))
            else:
                self._gathered.sample(rule, roles, candidate, survivor)
        if undated:
            self.counters.without_timestamp += 1
            problem = Problem(
                "no-timestamp", "an event without a timestamp", path=candidate.path, line=candidate.number
            )
            self.counters.note(problem)

    def _open(
        self,
        rule: CompiledRule,
        role: Role,
        candidate: Candidate,
        text: str | tuple[str, ...] | None,
        survivor: Survivor,
    ) -> None:
        """Take what is the first event of a sequence, with one key, and nothing else; `text` is the key if of texts."""
        assert self._skipping is not None
        host = candidate.hosts[0] if rule.host_key else EVERY_HOST
        ordinal = candidate.ordinal(rule)
        if text is None:
            keys = candidate.keys(role.by, rule)
            self._skipping.opened(role, host, ordinal[0], keys)
        else:
            keys = [(("str", text),) if type(text) is str else tuple([("str", value) for value in text])]
            self._skipping.opened_for(role, host, ordinal[0], text)
        self._place(rule, Hit(ordinal, survivor, [(0, keys)], [], []), host)

    def _sequence_hit(self, rule: CompiledRule, roles: list[Role], hit: Hit, candidate: Candidate) -> None:
        hosts = candidate.hosts if rule.host_key else (EVERY_HOST,)
        for host, own in hit.by_host(hosts, rule.host_place or 0).items():
            if self._skipping is not None:
                keys = dict(own.positive)
                for role in roles:
                    if role.kind == "positive" and role.numbers[0] in keys:
                        found = keys[role.numbers[0]]
                        self._skipping.opened(role, host, hit.time_ns, found, in_turn=self._lanes is None)
            self._place(rule, own, host)

    def _place(self, rule: CompiledRule, hit: Hit, host: str) -> None:
        """Give a hit of one host to what finds sequences. In a stream each field of times has lanes of its own."""
        if self._lanes is not None:
            clock = rule.names.timestamp
            own_clock = clock != TIME
            self._lanes.push(rule, hit, f"{host}\0{clock}" if own_clock else host, own_clock=own_clock)
        elif self._in_order is not None:
            if self._parked is not None:
                for begun in self._parked.hits_before(self._in_order, rule, hit, host):
                    self._begin(rule, begun, host)
            self._in_order.take(rule, hit, host)
        else:
            self._gathered.hit(rule, hit)

    def _begin(self, rule: CompiledRule, hit: Hit, host: str) -> None:
        """Take a hit that began a sequence and has waited in the scanner."""
        if self._lanes is not None:
            self._lanes.begin(rule, hit, host)
        elif self._in_order is not None:
            self._in_order.take(rule, hit, host, has_waited=True)

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Give the state of a stream, to go on from it later. Raises UsageError for a batch, which begins anew.

        It holds the lines of events that may yet be part of a match.
        """
        if self._lanes is None:
            raise UsageError("a snapshot is of a stream: a batch reads its events again")
        from maxspan.engine.kernel.snapshot import StateWriter, sealed

        self._lanes.settle()
        if self._parked is not None:
            self._parked.take_all(self._begin, self._gathered)
        writer = StateWriter(self.compiled.rules, self._store, self._hits)
        return sealed(writer.body(self._options, self.counters, self._lanes, self._gathered))

    def _hits(self, candidate: Candidate, mask: int) -> Iterator[tuple[CompiledRule, Hit]]:
        """Give what a candidate may be to sequences, whether or not something waits for it."""
        survivor = survivor_of(candidate)
        for part in self.compiled.parts(mask):
            roles = part.held(candidate.fields)
            hit = hit_of(candidate, part.rule, roles, survivor) if roles else None
            if hit is not None:
                yield part.rule, hit

    @classmethod
    def restore(
        cls,
        rules: Iterable[Rule],
        data: bytes,
        *,
        ignore_index: bool = False,
        lateness_ns: int = LATENESS_NS,
        most_keys: int = MOST_KEYS,
    ) -> KernelDetector:
        """Make a stream that goes on from a snapshot, whose options must be the same.

        What rules had begun that have changed since, or are gone, is forgotten: `counters.problems` names each of them.
        Raises BadSnapshot (a SourceError) for bytes that are damaged, of another version, or made with other options.
        """
        from maxspan.engine.kernel.snapshot import BadSnapshot, StateReader, opened

        out = cls(rules, ignore_index=ignore_index, stream=True, lateness_ns=lateness_ns, most_keys=most_keys)
        assert out._lanes is not None
        body = opened(data, out._options)
        try:
            state = StateReader(body, out.compiled.rules, out._skipping)
            state.restore(out.counters, out._lanes, out._gathered, most_keys=most_keys)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise BadSnapshot("snapshot-damaged", f"the snapshot does not hold what it should ({error})") from None
        return out

    # --- the end -----------------------------------------------------------------------------------------------------

    def finish(self) -> list[RuleMatch]:
        """Give what only the end decides; nothing can be fed afterwards."""
        out: list[RuleMatch] = []
        if self._lanes is not None:
            out += self._matches(self._lanes.finish())
        unsure: set[CompiledRule] = set()
        completed: dict[CompiledRule, list[Completed]] = {}
        if self._in_order is not None and self._skipping is not None:
            self._in_order.finish()
            unsure, completed = self._in_order.unsure | self._skipping.unsure, self._in_order.completed
        if self._parked is not None:
            self._parked.take_complete(self._gathered)
        gathered, self._gathered = self._gathered, Gathered(self._store)
        out += gathered.matches([rule for rule in self.compiled.rules if rule not in unsure], completed)
        if self._replay is not None:
            if unsure:
                out += self._once_more(self._replay, [rule.rule for rule in self.compiled.rules if rule in unsure])
            self._replay.close()
        self.counters.matches += len(out)
        failure = self._store.failure or gathered.hits.failure or (self._parked.failure if self._parked else "")
        self._say_failure(failure or (self._in_order.failure if self._in_order is not None else ""))
        self._store.close()
        return out

    def _say_failure(self, failure: str) -> None:
        if failure:
            message = f"lines cannot be kept in a temporary file ({failure}): they stay in memory"
            self.counters.note(Problem("no-space", message, "warning", hint="set TMPDIR to a folder with room"))

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

    def _matches(self, found: Iterable[tuple[CompiledRule, Completed]]) -> Iterator[RuleMatch]:
        for rule, sequence in found:
            yield sequence_match(rule, sequence, self._store)


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
