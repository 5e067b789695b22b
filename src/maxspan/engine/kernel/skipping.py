"""Later stages are passed over while nothing waits for them: most events that fulfil one continue no sequence.

That is exact as long as events come in order, host by host for rules that join by host. When an event that begins a
sequence is not later than one that was passed over, its rule is `unsure`: it has to be run again without this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final

import msgspec

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules, Role
from maxspan.engine.kernel.events import DecodedFields, hosts_of, listed
from maxspan.engine.kernel.native.scanning import Scanning
from maxspan.engine.kernel.open_keys import EARLIEST, LATEST, OpenKeys
from maxspan.engine.kernel.times import time_ns
from maxspan.engine.reference.event import Key

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Lane, Skip

#: the field whose times decide; rules that order by another one are never passed over
TIME: Final = "@timestamp"
HOST: Final = "host.id"
#: the name of what is open for rules that join across hosts; a host of that name would only make rules unsure
EVERY_HOST: Final = "\0every host"
_MOST: Final = 50_000


@dataclass(slots=True)
class Open:
    """The stages that something waits for, at one host: the mask of their pieces, and until when each is open.

    `passed_ns` is the latest time of an event that was passed over, and `passed` what of it.
    """

    mask: int = 0
    until: dict[int, int] = field(default_factory=dict)
    ends: list[tuple[int, int]] = field(default_factory=list)
    closed_ns: int = EARLIEST
    passed_ns: int = EARLIEST
    passed: int = 0

    def changed(self) -> None:
        """Take note that `mask` or `closed_ns` is another one."""

    def pass_over(self, now_ns: int, shut: int) -> None:
        """Note what of an event was passed over."""
        passed_ns = self.passed_ns
        if now_ns > passed_ns:
            self.passed_ns, self.passed = now_ns, shut
        elif now_ns == passed_ns:
            self.passed |= shut


class ScannedOpen(Open):
    """The same, where the compiled scanner passes over events too: it keeps what was passed over."""

    def __init__(self, scanning: Scanning, head: int = 0) -> None:
        self._scanning = scanning
        self.lane = scanning.lane()
        #: pieces that the scanner must not pass over, up to `head_ns`, though nothing is known to wait for them
        self.head = head
        self.head_ns = EARLIEST
        super().__init__()
        self.changed()

    @property
    def passed_ns(self) -> int:
        return self.lane.passed_ns

    @passed_ns.setter
    def passed_ns(self, time_ns: int) -> None:
        self.lane.passed_ns = time_ns

    @property
    def passed(self) -> int:
        return int.from_bytes(self.lane.passed, "little")

    @passed.setter
    def passed(self, mask: int) -> None:
        self.lane.passed = self._scanning.bytes(mask)

    def changed(self) -> None:
        self.lane.open = self._scanning.bytes(self.mask | self.head)
        self.lane.from_ns = max(self.closed_ns, self.head_ns)


class Skipping:
    """Knows which stages are open, by host and by key, and what has been passed over.

    A stage is known by the mask of its pieces. It is open from an event of the stage before on, as long as `maxspan`
    allows; `until` and missing stages from the first event on that is one of the sequence.
    """

    def __init__(self, rules: CompiledRules) -> None:
        self.unsure: set[CompiledRule] = set()
        self._open: dict[str, Open] = {}
        self._opens: dict[Role, list[OpenKeys]] = {}
        self._by_host = self._later = 0
        own_masks: dict[Role, int] = {}
        for number, (role, _) in enumerate(rules.pieces):
            if role.rule.is_sequence and role.rule.names.timestamp == TIME:
                own_masks[role] = own_masks.get(role, 0) | 1 << number
        self._keys: dict[Role, OpenKeys] = {}
        self._before: list[tuple[int, int]] = []
        for role, own in own_masks.items():
            if role.begins:
                continue
            self._later |= own
            if role.rule.host_key:
                self._by_host |= own
            keys = self._keys[role] = OpenKeys(role, own, rules.getter)
            opener = role.numbers[0] - 1 if role.kind == "positive" else 0
            for other in role.rule.roles:
                if other.kind == "positive" and opener in other.numbers:
                    self._opens.setdefault(other, []).append(keys)
                    self._before.append((own_masks.get(other, 0), own))
        self._across = self._later & ~self._by_host
        #: what of a mask are later stages, as far as it is known
        self.waiting: dict[int, int] = {}
        self._asked: dict[int, tuple[OpenKeys, ...]] = {}
        self._read, self._read_host = rules.getter(TIME, HOST), rules.getter(HOST)
        self._scanning = rules.scanning
        self._skip: Skip | None = None

    @property
    def skip(self) -> Skip | None:
        """Give what the scanner passes over by itself."""
        if self._skip is None and self._scanning is not None:
            every = self._at(EVERY_HOST)
            assert isinstance(every, ScannedOpen)
            self._skip = self._scanning.skip((TIME, HOST), self._lane_of, self.is_all_later, every.lane, self._across)
        return self._skip

    def _new_open(self) -> Open:
        return Open() if self._scanning is None else ScannedOpen(self._scanning)

    def _at(self, host: str) -> Open:
        lane = self._open.get(host)
        if lane is None:
            lane = self._open[host] = self._new_open()
        return lane

    def _lane_of(self, text: bytes | None) -> Lane | None:
        """Give the scanner's lane of a host, None for one that is no string: its events are looked at here."""
        host = "" if text is None else msgspec.json.decode(text)
        lane = self._at(host or "") if host is None or type(host) is str else None
        return lane.lane if isinstance(lane, ScannedOpen) else None

    def is_all_later(self, mask: int) -> bool:
        """Whether a mask is of later stages alone."""
        return self.later(mask) == mask

    def later(self, mask: int) -> int:
        """Give the pieces of a mask that matter only after another event: not those whose opener is in the mask too."""
        known = self.waiting.get(mask)
        if known is None:
            known = mask & self._later
            for opener, own in self._before:
                if known & own and mask & opener:
                    known &= ~own
            if len(self.waiting) > _MOST:
                self.waiting.clear()
            self.waiting[mask] = known
        return known

    def narrow(self, mask: int, event: Any) -> int:
        """Leave out of a decoded event's mask what nothing waits for."""
        later = self.waiting.get(mask)
        if later is None:
            later = self.later(mask)
        if not later:
            return mask
        if self._scanning is not None:
            now_ns = self._scanning.time(event, TIME)
            if now_ns is not None:
                host = self._read_host(event)
                if host is None or type(host) is str:
                    return self._narrow(mask, later, event, now_ns, host or "")
        time, host = self._read(event)
        if type(time) is not str or (host is not None and type(host) is not str):
            return mask & ~self._passed(later, _earliest(listed(time)), hosts_of(listed(host)), _always_open)
        now_ns = time_ns(time)
        return mask if now_ns is None else self._narrow(mask, later, event, now_ns, host or "")

    def _narrow(self, mask: int, later: int, event: Any, now_ns: int, host: str) -> int:
        across = later & self._across
        shut = self._shut(self._open.get(host) or self._at(host), later ^ across, event, now_ns)
        if across:
            shut |= self._shut(self._at(EVERY_HOST), across, event, now_ns)
        return mask ^ shut

    def _shut(self, lane: Open, later: int, event: Any, now_ns: int) -> int:
        """Give what of later stages at one host an event does not continue, and note that it was passed over."""
        shut = later
        if lane.mask or now_ns < lane.closed_ns:
            ends = lane.ends
            in_order = now_ns >= lane.closed_ns and not (ends and ends[0][0] < now_ns)
            waited_for = later & (lane.mask if in_order else self._open_at(lane, now_ns))
            if waited_for:
                for keys in self._asked.get(waited_for) or self._keys_of(waited_for):
                    if keys.is_open(event, now_ns):
                        shut &= ~keys.own
        if shut:
            lane.pass_over(now_ns, shut)
        return shut

    def passes(self, mask: int, now_ns: int, host: str) -> bool:
        """Pass over an event of later stages alone (`is_all_later`), if that is quickly said: False says nothing."""
        across = mask & self._across
        lanes = [(self._at(name), own) for name, own in ((host, mask ^ across), (EVERY_HOST, across)) if own]
        if any(lane.mask & own or now_ns < lane.closed_ns for lane, own in lanes):
            return False
        for lane, own in lanes:
            lane.pass_over(now_ns, own)
        return True

    def narrow_candidate(self, mask: int, fields: Any) -> int:
        """Do the same for a candidate's fields."""
        return self.narrow(mask, fields.event) if type(fields) is DecodedFields else self.narrow_fields(mask, fields)

    def narrow_fields(self, mask: int, fields: Any, now_ns: int | None = None) -> int:
        """Do the same for fields by name; `now_ns` is the time of the event where it is known."""
        later = self.later(mask)
        if not later:
            return mask
        if now_ns is None:
            now_ns = _earliest(fields.get(TIME, ()))
        hosts = hosts_of(fields.get(HOST, ()))
        return mask & ~self._passed(later, now_ns, hosts, lambda keys: keys.is_open_for(fields, now_ns or 0))

    def _passed(
        self, later: int, now_ns: int | None, hosts: tuple[str, ...], is_open: Callable[[OpenKeys], bool]
    ) -> int:
        """Give what of these pieces is passed over at a time: what is not open. Events of several hosts never are."""
        if now_ns is None:
            return 0
        passed = 0
        by_host = later & self._by_host if len(hosts) == 1 else 0
        for name, part in ((hosts[0], by_host), (EVERY_HOST, later & ~self._by_host)):
            if not part:
                continue
            lane = self._at(name)
            waited_for = part & self._open_at(lane, now_ns)
            shut = part
            for keys in self._keys_of(waited_for):
                if is_open(keys):
                    shut &= ~keys.own
            if shut:
                passed |= shut
                lane.pass_over(now_ns, shut)
        return passed

    def _keys_of(self, waited_for: int) -> tuple[OpenKeys, ...]:
        known = self._asked.get(waited_for)
        if known is None:
            known = tuple(keys for keys in self._keys.values() if keys.own & waited_for)
            if len(self._asked) > _MOST:
                self._asked.clear()
            self._asked[waited_for] = known
        return known

    def _open_at(self, lane: Open, now_ns: int) -> int:
        if now_ns < lane.closed_ns:  # not in order: what has been closed since may have been open then
            return sum(own for own, until_ns in lane.until.items() if now_ns <= until_ns)
        ends = lane.ends
        while ends and ends[0][0] < now_ns:
            _, own = heappop(ends)
            until_ns = lane.until[own]
            if until_ns < now_ns:
                lane.mask &= ~own
                lane.closed_ns = now_ns
                lane.changed()
            else:
                heappush(ends, (until_ns, own))
        return lane.mask

    def opened_for(self, role: Role, host: str, at_ns: int, text: str | tuple[str, ...]) -> None:
        """Note an event of the first stage whose one key is of texts; see `opened`."""
        following = self._opens.get(role)
        if following is None:
            return
        lane = self._open.get(host) or self._at(host)
        until_ns = _longest(role.rule, at_ns)
        for keys in following:
            keys.open_text(text, until_ns, at_ns)
            self._open_until(lane, role, keys.own, at_ns, until_ns)

    def _open_until(self, lane: Open, role: Role, own: int, at_ns: int, until_ns: int) -> None:
        """Open a stage at a host; the rule is unsure if what is not earlier has been passed over."""
        passed_ns = lane.passed_ns
        if at_ns <= passed_ns and (at_ns < passed_ns or lane.passed & own):
            self.unsure.add(role.rule)
        if until_ns > lane.until.get(own, EARLIEST):
            lane.until[own] = until_ns
        if not lane.mask & own:
            lane.mask |= own
            heappush(lane.ends, (until_ns, own))
            lane.changed()

    def opened(self, role: Role, host: str, at_ns: int, found: Iterable[Key], *, in_turn: bool = True) -> None:
        """Note an event of a positive stage with its keys; the host is `EVERY_HOST` for rules that join across hosts.

        Events that come before their turn are not `in_turn`: whether something waits for them is not known yet.
        """
        following = self._opens.get(role)
        if following is None:
            return
        lane = self._at(host)
        longest = _longest(role.rule, at_ns)
        own_keys = None if role.begins or not in_turn else self._keys[role]
        for key in found:
            until_ns = longest
            if own_keys is not None:
                until_ns = min(until_ns, own_keys.until(key, at_ns))
                if until_ns < at_ns:
                    continue  # no sequence with this key has come so far
            for keys in following:
                keys.open(key, until_ns, at_ns)
                self._open_until(lane, role, keys.own, at_ns, until_ns)


def _longest(rule: CompiledRule, at_ns: int) -> int:
    """Give until when an event can be continued."""
    return LATEST if rule.maxspan_ns == LATEST else at_ns + rule.maxspan_ns


def _always_open(keys: OpenKeys) -> bool:
    return True


def _earliest(values: Sequence[Any]) -> int | None:
    return min((time for time in map(time_ns, values) if time is not None), default=None)
