"""Later stages are passed over while nothing waits for them: most events that fulfil one continue no sequence.

That is exact as long as events come in order, host by host for rules that join by host. When an event that begins a
sequence is not later than one that was passed over, its rule is `unsure`: it has to be run again without this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules, Role
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
    """The stages that something waits for, at one host: the mask of their pieces, and until when each is open.

    `passed_ns` is the latest time of an event that was passed over, and `passed` what of it.
    """

    mask: int = 0
    until: dict[int, int] = field(default_factory=dict)
    ends: list[tuple[int, int]] = field(default_factory=list)
    closed_ns: int = _EARLIEST
    passed_ns: int = _EARLIEST
    passed: int = 0


class Skipping:
    """Knows which stages are open, by host, and what has been passed over. A stage is known by the mask of its pieces.

    A stage is open from an event of the stage before on, as long as `maxspan` allows; `until` from the first stage on.
    """

    def __init__(self, rules: CompiledRules) -> None:
        self.unsure: set[CompiledRule] = set()
        self._open: dict[str, _Open] = {}
        self._opens: dict[Role, list[int]] = {}
        self._own: dict[Role, int] = {}
        self._by_host = self._later = 0
        for number, (role, _) in enumerate(rules.pieces):
            if role.rule.is_sequence and role.rule.names.timestamp == TIME:
                self._own[role] = self._own.get(role, 0) | 1 << number
        self._before: list[tuple[int, int]] = []
        for role, own in self._own.items():
            if role.begins:
                continue
            opener = 0 if role.kind == "until" else role.numbers[0] - 1
            for other in role.rule.roles:
                if other.kind == "positive" and opener in other.numbers:
                    self._opens.setdefault(other, []).append(own)
                    self._before.append((self._own.get(other, 0), own))
            self._later |= own
            if role.rule.host_key:
                self._by_host |= own
        self._waiting: dict[int, int] = {}
        self._read = rules.decoder.getter(TIME, HOST)

    def later(self, mask: int) -> int:
        """Give the pieces of a mask that matter only after another event: not those whose opener is in the mask too."""
        known = self._waiting.get(mask)
        if known is None:
            known = mask & self._later
            for opener, own in self._before:
                if known & own and mask & opener:
                    known &= ~own
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
            return sum(own for own, until_ns in lane.until.items() if now_ns <= until_ns)
        ends = lane.ends
        while ends and ends[0][0] < now_ns:
            _, own = heappop(ends)
            until_ns = lane.until[own]
            if until_ns < now_ns:
                lane.mask &= ~own
                lane.closed_ns = now_ns
            else:
                heappush(ends, (until_ns, own))
        return lane.mask

    def opened(self, role: Role, host: str, at_ns: int) -> None:
        """Note an event of a positive stage, of a host or of `EVERY_HOST` for rules that join across hosts."""
        following = self._opens.get(role)
        if following is None:
            return
        lane = self._open.get(host)
        if lane is None:
            lane = self._open[host] = _Open()
        assert isinstance(role.rule.query, plan.SequenceQuery)
        maxspan = role.rule.query.maxspan_ns
        until_ns = _LATEST if maxspan is None else at_ns + maxspan
        if not role.begins:
            until_ns = min(until_ns, lane.until.get(self._own[role], _EARLIEST))
            if until_ns < at_ns:
                return  # no sequence has come so far
        for own in following:
            if at_ns < lane.passed_ns or (at_ns == lane.passed_ns and lane.passed & own):
                self.unsure.add(role.rule)
            if until_ns > lane.until.get(own, _EARLIEST):
                lane.until[own] = until_ns
            if not lane.mask & own:
                lane.mask |= own
                heappush(lane.ends, (until_ns, own))


def _listed(value: Any) -> Sequence[Any]:
    return () if value is None else value if type(value) is tuple else (value,)


def _earliest(values: Sequence[Any]) -> int | None:
    return min((time for time in map(time_ns, values) if time is not None), default=None)
