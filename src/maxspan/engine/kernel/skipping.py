"""Later stages are passed over while nothing waits for them: most events that fulfil one continue no sequence.

That is exact as long as events come in order, host by host for rules that join by host. When an event that begins a
sequence is not later than one that was passed over, its rule is `unsure`: it has to be run again without this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules
from maxspan.engine.kernel.events import hosts_of
from maxspan.engine.kernel.times import time_ns
from maxspan.languages import plan

#: the field whose times decide; rules that order by another one are never passed over
TIME: Final = "@timestamp"
HOST: Final = "host.id"
#: the name of what is open for rules that join across hosts; no host can have it
EVERY_HOST: Final = "\0every host"
_EARLIEST: Final = -(2**63)
_LATEST: Final = 2**63
_MOST: Final = 50_000


@dataclass(slots=True)
class _Open:
    """The rules of which some sequence may go on, for one host: the mask of their pieces, and until when each may.

    `passed_ns` is the latest time of an event that was passed over, and `passed` what of it.
    """

    mask: int = 0
    until: dict[CompiledRule, int] = field(default_factory=dict)
    ends: list[tuple[int, int, CompiledRule]] = field(default_factory=list)
    closed_ns: int = _EARLIEST
    passed_ns: int = _EARLIEST
    passed: int = 0


class Skipping:
    """Knows which rules are open, by host, and what has been passed over."""

    def __init__(self, rules: CompiledRules) -> None:
        self.unsure: set[CompiledRule] = set()
        self._open: dict[str, _Open] = {}
        self._of_rule: dict[CompiledRule, int] = {}
        self._beginnings: dict[CompiledRule, int] = {}
        self._by_host = self._later = 0
        for number, (role, _) in enumerate(rules.pieces):
            rule, bit = role.rule, 1 << number
            if not rule.is_sequence or rule.names.timestamp != TIME:
                continue
            self._of_rule[rule] = self._of_rule.get(rule, 0) | bit
            self._later |= bit
            if role.begins:
                self._beginnings[rule] = self._beginnings.get(rule, 0) | bit
            if rule.host_key:
                self._by_host |= bit
        self._waiting: dict[int, int] = {}
        self._read = rules.decoder.getter(TIME, HOST)

    def later(self, mask: int) -> int:
        """Give the pieces of a mask that matter only after something else: those of rules that nothing begins here."""
        known = self._waiting.get(mask)
        if known is None:
            known = mask & self._later
            for rule, beginnings in self._beginnings.items():
                if mask & beginnings:
                    known &= ~self._of_rule[rule]
            if len(self._waiting) > _MOST:
                self._waiting.clear()
            self._waiting[mask] = known
        return known

    def narrow(self, mask: int, event: Any) -> int:
        """Leave out of a decoded event's mask what nothing waits for."""
        later = self.later(mask)
        if not later:
            return mask
        time, host = self._read(event)
        if type(time) is not str or (host is not None and type(host) is not str):
            return mask & ~self._passed(later, _earliest(_listed(time)), hosts_of(_listed(host)))
        return mask & ~self._passed(later, time_ns(time), (host or "",))

    def narrow_fields(self, mask: int, fields: Any) -> int:
        """Do the same for fields by name."""
        later = self.later(mask)
        if not later:
            return mask
        return mask & ~self._passed(later, _earliest(fields.get(TIME, ())), hosts_of(fields.get(HOST, ())))

    def _passed(self, later: int, now_ns: int | None, hosts: tuple[str, ...]) -> int:
        """Give what of these pieces is passed over at a time: what is not open. Events of several hosts never are."""
        if now_ns is None:
            return 0
        passed = 0
        by_host = later & self._by_host if len(hosts) == 1 else 0
        for name, part in ((hosts[0], by_host), (EVERY_HOST, later & ~self._by_host)):
            if not part:
                continue
            lane = self._open.get(name)
            if lane is None:
                lane = self._open[name] = _Open()
            shut = part & ~self._open_at(lane, now_ns)
            if shut:
                passed |= shut
                if now_ns > lane.passed_ns:
                    lane.passed_ns, lane.passed = now_ns, shut
                elif now_ns == lane.passed_ns:
                    lane.passed |= shut
        return passed

    def _open_at(self, lane: _Open, now_ns: int) -> int:
        if now_ns < lane.closed_ns:  # not in order: what has been closed since may have been open then
            return sum(self._of_rule[rule] for rule, until_ns in lane.until.items() if now_ns <= until_ns)
        ends = lane.ends
        while ends and ends[0][0] < now_ns:
            _, number, rule = heappop(ends)
            until_ns = lane.until[rule]
            if until_ns < now_ns:
                lane.mask &= ~self._of_rule[rule]
                lane.closed_ns = now_ns
            else:
                heappush(ends, (until_ns, number, rule))
        return lane.mask

    def begin(self, rule: CompiledRule, host: str, at_ns: int) -> None:
        """Note an event that begins a sequence, of a host or of `EVERY_HOST` for rules that join across hosts."""
        own = self._of_rule.get(rule)
        if own is None:
            return
        lane = self._open.get(host)
        if lane is None:
            lane = self._open[host] = _Open()
        if at_ns < lane.passed_ns or (at_ns == lane.passed_ns and lane.passed & own):
            self.unsure.add(rule)
        assert isinstance(rule.query, plan.SequenceQuery)
        maxspan = rule.query.maxspan_ns
        until_ns = _LATEST if maxspan is None else at_ns + maxspan
        if until_ns > lane.until.get(rule, _EARLIEST):
            lane.until[rule] = until_ns
        if not lane.mask & own:
            lane.mask |= own
            heappush(lane.ends, (until_ns, rule.number, rule))


def _listed(value: Any) -> Sequence[Any]:
    return () if value is None else value if type(value) is tuple else (value,)


def _earliest(values: Sequence[Any]) -> int | None:
    return min((time for time in map(time_ns, values) if time is not None), default=None)
