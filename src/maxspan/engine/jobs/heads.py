"""At the beginning of a run nobody knows what came before it: nothing is passed over that may continue that."""

from __future__ import annotations

from typing import Any

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules
from maxspan.engine.kernel.events import hosts_of
from maxspan.engine.kernel.skipping import EVERY_HOST, HOST, TIME, Open, ScannedOpen, Skipping
from maxspan.engine.kernel.times import time_ns
from maxspan.languages import plan


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

    `first` is the earliest time of such events, and what they are, by host. What the head has of rules that run alone
    is put aside: it is in the mask, but `aside` bits further up. With `is_first` nothing came before the run, and so it
    has no head.
    """

    def __init__(self, rules: CompiledRules) -> None:
        super().__init__(rules, parks=True)
        self.is_first = False
        self.aside = len(rules.pieces)
        self._alone = sum(1 << number for number, (role, _) in enumerate(rules.pieces) if runs_alone(role.rule))
        self.first: dict[str, tuple[int, int]] = {}
        self._since: dict[str, int] = {}
        by_maxspan: dict[int, int] = {}
        self._pinned = 0
        for number, (role, _) in enumerate(rules.pieces):
            if role.rule.is_sequence:
                maxspan = role.rule.maxspan_ns
                by_maxspan[maxspan] = by_maxspan.get(maxspan, 0) | 1 << number
                if role.rule.host_key:
                    self._pinned |= 1 << number
        self._every = rules.every
        #: longest first: what may still be waited for up to so long after the beginning
        self._heads = sorted(by_maxspan.items(), reverse=True)
        self._asks = rules.getter(TIME, HOST)

    def _new_open(self, host: str) -> Open:
        out = super()._new_open(host)
        if self._scanning is not None and isinstance(out, ScannedOpen) and not self.is_first:
            out.lane.keep = self._scanning.bytes(self._every)
        return out

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
                first_ns, first = self.first.get(name, (now_ns, 0))
                if now_ns <= first_ns:
                    self.first[name] = now_ns, part | (first if now_ns == first_ns else 0)
                passed_ns = now_ns - self._since.setdefault(name, now_ns)
                still = 0
                for maxspan, own in self._heads:
                    if maxspan < passed_ns:
                        self._leave_head(name, still, self._since[name] + maxspan)
                        break
                    still |= own
                kept |= part & still
        alone = kept & self._alone
        return kept ^ alone | alone << self.aside

    def _leave_head(self, name: str, still: int, until_ns: int) -> None:
        """Let the scanner pass over what is not in the head any more, of events after a time."""
        out = self._at(name)
        if self._scanning is not None and isinstance(out, ScannedOpen):
            kept = self._scanning.bytes(still)
            if out.lane.keep != kept:
                out.lane.keep, out.lane.from_ns = kept, max(out.lane.from_ns, until_ns + 1)
