"""At the beginning of a run nobody knows what came before it: nothing is passed over that may continue that."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules
from maxspan.engine.kernel.events import hosts_of
from maxspan.engine.kernel.native.scanning import Scanning
from maxspan.engine.kernel.open_hosts import Open
from maxspan.engine.kernel.open_keys import EARLIEST
from maxspan.engine.kernel.skipping import EVERY_HOST, HOST, TIME, Skipping
from maxspan.engine.kernel.times import time_ns
from maxspan.languages import plan

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Parked, Skip


def runs_alone(rule: CompiledRule) -> bool:
    """Whether sequences that lie within a run can be found without the rest: their hits are not sent on then."""
    query = rule.query
    return (
        isinstance(query, plan.SequenceQuery)
        and query.maxspan_ns is not None
        and not any(stage.missing for stage in query.stages)
        and rule.names.timestamp == TIME
    )


class HeadSkipping(Skipping):
    """Passes over what `Skipping` does, but not in the head of a run: up to a maxspan after the first such event.

    What the head has of rules that run alone is put aside: the scanner keeps it, and what Python has to look at is in
    the mask, but `aside` bits further up. With `is_first` nothing came before the run, and so it has no head.
    """

    def __init__(self, rules: CompiledRules) -> None:
        super().__init__(rules, parks=True)
        self.is_first = False
        self.aside = len(rules.pieces)
        self._alone = sum(1 << number for number, (role, _) in enumerate(rules.pieces) if runs_alone(role.rule))
        by_maxspan: dict[int, int] = {}
        self._pinned = 0
        for number, (role, _) in enumerate(rules.pieces):
            if role.rule.is_sequence:
                maxspan = role.rule.maxspan_ns
                by_maxspan[maxspan] = by_maxspan.get(maxspan, 0) | 1 << number
                if role.rule.host_key:
                    self._pinned |= 1 << number
        #: longest first: what may still be waited for up to so long after the beginning
        self._heads = sorted(by_maxspan.items(), reverse=True)
        self._asks = rules.getter(TIME, HOST)
        self._left: dict[CompiledRule, list[Parked]] | None = None

    def _tell(self, skip: Skip, scanning: Scanning) -> None:
        super()._tell(skip, scanning)
        if not self.is_first:
            scanning.follow(skip, self._alone, self._heads)

    def first(self) -> dict[str, tuple[int, int]]:
        """Give the earliest time of what was passed over, and what that was, by host."""
        return {host: (lane.first_ns, mask) for host, lane in self._open.items() if (mask := lane.first)}

    def passed(self) -> dict[str, tuple[int, int]]:
        """Give the latest time of what was passed over, and what that was, by host."""
        return {host: (lane.passed_ns, lane.passed) for host, lane in self._open.items()}

    def passes(self, mask: int, now_ns: int, host: str) -> bool:
        return self.is_first and super().passes(mask, now_ns, host)

    def narrow(self, mask: int, event: Any) -> int:
        narrowed = super().narrow(mask, event)
        if narrowed == mask or self.is_first:
            return narrowed
        time, host = self._asks(event)
        times = time if type(time) is tuple else (time,)
        hosts = host if type(host) is tuple else () if host is None else (host,)
        return narrowed | self._in_head(mask & ~narrowed, times, hosts)

    def narrow_fields(self, mask: int, fields: Any, now_ns: int | None = None) -> int:
        narrowed = super().narrow_fields(mask, fields, now_ns)
        if narrowed == mask or self.is_first:
            return narrowed
        return narrowed | self._in_head(mask & ~narrowed, fields.get(TIME, ()), fields.get(HOST, ()))

    def _in_head(self, shut: int, times: Any, hosts: Any) -> int:
        now_ns = min((time for time in map(time_ns, times) if time is not None), default=None)
        if now_ns is None:  # what has no time is never passed over
            return shut
        kept = 0
        pinned = shut & self._pinned
        for name, part in ((hosts_of(hosts)[0], pinned), (EVERY_HOST, shut & ~pinned)):
            if part:
                kept |= part & self._waited_for(self._at(name), now_ns, part)
        alone = kept & self._alone
        return kept ^ alone | alone << self.aside

    def _waited_for(self, lane: Open, now_ns: int, part: int) -> int:
        """Note that some of an event is passed over, and give what something from before the run may wait for."""
        if now_ns <= lane.first_ns:
            lane.first = part | (lane.first if now_ns == lane.first_ns else 0)
            lane.first_ns = now_ns
        if lane.since_ns == EARLIEST:
            lane.since_ns = now_ns
        passed_ns = now_ns - lane.since_ns
        return sum(own for maxspan, own in self._heads if maxspan >= passed_ns)

    # --- what the scanner has put aside ------------------------------------------------------------------------------

    @property
    def aside_bytes(self) -> int:
        """Give how much the events take that the scanner has put aside."""
        return sum(lane.aside_bytes for _, lane in self.lanes())

    def put_aside(self, skip: Skip | None, wanted: int, hosts: Collection[str]) -> Iterator[tuple[int, Parked]]:
        """Give the events of hosts that the scanner has put aside; see `Scanning.aside`."""
        for host, lane in self.lanes():
            if host in hosts and self._scanning is not None:
                yield from self._scanning.aside(skip, lane, wanted)

    def take_aside(self) -> Iterator[tuple[int, Parked]]:
        """Give all events that the scanner has put aside; it forgets them."""
        for _, lane in self.lanes():
            if lane.aside_bytes and self._scanning is not None:
                yield from self._scanning.aside(None, lane, self._rules.every)
        self.forget_aside()

    def forget_aside(self) -> None:
        """Forget all that the scanner has put aside."""
        for _, lane in self.lanes():
            if self._scanning is not None:
                self._scanning.forget_aside(lane)

    # --- what is left of a run that is over ---------------------------------------------------------------------------

    def keep_samples(self) -> None:
        """Let go of the scanner's part with all but the events of samples: nothing is passed over any more."""
        self._left = {rule: events for rule in self._sample_numbers if (events := self.sampled(rule))}
        self._skip = None
        self._open, self._keys, self._opens = {}, {}, {}
        self.waiting, self._asked = {}, {}

    def sampled(self, rule: CompiledRule) -> list[Parked]:
        return super().sampled(rule) if self._left is None else self._left.pop(rule, [])
