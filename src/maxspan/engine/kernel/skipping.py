"""Later stages are passed over while nothing waits for them: most events that fulfil one continue no sequence.

That is exact as long as events come in order, host by host for rules that join by host. When an event that begins a
sequence is not later than one that was passed over, its rule is `unsure`: it has to be run again without this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules, Role
from maxspan.engine.kernel.events import DecodedFields, hosts_of, listed
from maxspan.engine.kernel.native.scanning import Opener, Program, Scanning, Stage
from maxspan.engine.kernel.open_hosts import Open, ScannedOpen
from maxspan.engine.kernel.open_keys import EARLIEST, LATEST, Keys, KeysInPython, OpenKeys, Texts
from maxspan.engine.kernel.times import time_ns
from maxspan.engine.reference.event import FieldNames, Key

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Lane, Parked, Skip

#: the field whose times decide; rules that order by another one are never passed over
TIME: Final = "@timestamp"
HOST: Final = "host.id"
SEQUENCE: Final = "event.sequence"
#: the name of what is open for rules that join across hosts; a host of that name would only make rules unsure
EVERY_HOST: Final = "\0every host"
_MOST: Final = 50_000
#: rules on samples with more stages than this are left to Python
_MOST_ROLES: Final = 64
#: what most rules order by: only of these, first events wait in the scanner
_NAMES: Final = FieldNames()


class Skipping:
    """Knows which stages are open, by key, and what has been passed over, by host.

    A stage is known by the mask of its pieces. It is open from an event of the stage before on, as long as `maxspan`
    allows; `until` and missing stages from the first event on that is one of the sequence. With `parks`, the compiled
    scanner keeps events that begin a sequence, and are nothing else, until something comes that may continue them:
    `parked` gives them; and events of samples, until all is read.
    """

    def __init__(self, rules: CompiledRules, *, parks: bool = False) -> None:
        self.unsure: set[CompiledRule] = set()
        self._rules = rules
        self._parks = parks
        self._open: dict[str, Open] = {}
        self._opens: dict[Role, list[OpenKeys]] = {}
        self._by_host = self._later = 0
        self._scanning = rules.scanning
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
            keys = self._keys[role] = OpenKeys(role, own, rules.getter, self._new_keys())
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
        self._own_masks = own_masks
        self._stages: dict[Role, int] = {}
        self._openers: dict[Role, int] = {}
        self._samples: dict[CompiledRule, int] = {}
        self._sample_numbers: dict[CompiledRule, int] = {}
        self._skip: Skip | None = None

    def _new_keys(self) -> Keys:
        return KeysInPython() if self._scanning is None else self._scanning.keys()

    def _new_open(self, host: str) -> Open:
        return Open() if self._scanning is None else ScannedOpen(self._scanning, host)

    def _at(self, host: str) -> Open:
        lane = self._open.get(host)
        if lane is None:
            lane = self._open[host] = self._new_open(host)
        return lane

    # --- the scanner -----------------------------------------------------------------------------------------------

    @property
    def skip(self) -> Skip | None:
        """Give what the scanner passes over by itself."""
        if self._skip is None and self._scanning is not None:
            every = self._at(EVERY_HOST)
            assert isinstance(every, ScannedOpen)
            fields = (TIME, HOST, SEQUENCE)
            skip = self._scanning.skip(fields, self._lane_of, self._program, every.lane, self._parks)
            self._tell(skip, self._scanning)
            self._skip = skip
        return self._skip

    def _tell(self, skip: Skip, scanning: Scanning) -> None:
        """Tell the scanner of the stages, by their numbers, and of the roles whose events may wait there."""
        for stage, (role, keys) in enumerate(self._keys.items()):
            self._stages[role] = stage
            names = tuple(field.name for field in role.by) if keys.told else ()
            across = not role.rule.host_key
            scanning.add_stage(skip, Stage(keys.own, keys.keys, across, keys.told, names, keys.required))
        numbers = {id(self._keys[role]): number for role, number in self._stages.items()}
        for number, (role, _) in enumerate(self._rules.pieces):
            if role.kind == "sample" and len(role.rule.roles) <= _MOST_ROLES:
                self._samples[role.rule] = self._samples.get(role.rule, 0) | 1 << number
        self._sample_numbers = {rule: number for number, rule in enumerate(self._samples)}
        for own in self._samples.values():
            scanning.add_sample(skip, own)
        self._openers.clear()
        for role, following in self._opens.items():
            rule = role.rule
            if (
                rule.begins_alone
                and role.numbers == (0,)
                and role in self._own_masks  # not one that no event can fulfil
                and role.read_keys is not None
                and (rule.names.timestamp, rule.names.tiebreaker) == (_NAMES.timestamp, _NAMES.tiebreaker)
            ):
                self._openers[role] = len(self._openers)
                names = tuple(field.name for field in role.by)
                required = tuple(not field.optional for field in role.by)
                stages = tuple(numbers[id(keys)] for keys in following)
                across = not rule.host_key
                scanning.add_opener(
                    skip, Opener(self._own_masks[role], names, required, stages, across, rule.maxspan_ns)
                )

    def _lane_of(self, text: bytes | None) -> Lane | None:
        """Give the scanner's lane of a host, None for one that is no string: its events are looked at here."""
        host = "" if text is None else msgspec.json.decode(text)
        lane = self._at(host or "") if host is None or type(host) is str else None
        return lane.lane if isinstance(lane, ScannedOpen) else None

    def _program(self, mask: int) -> Program:
        """Give the scanner's numbers of what is in a mask: later stages, what may wait, samples and their roles."""
        later = self.later(mask)
        stages = tuple(number for role, number in self._stages.items() if self._keys[role].own & later)
        parts = self._rules.parts(mask)
        openers = (self._openers.get(part.opener) for part in parts if part.opener is not None)
        samples = {
            self._sample_numbers[part.rule]: sum(1 << part.rule.roles.index(role) for role in part.certain)
            for part in parts
            if part.certain is not None and part.rule in self._sample_numbers
        }
        return stages, tuple(number for number in openers if number is not None), (*samples,), (*samples.values(),)

    # --- masks -----------------------------------------------------------------------------------------------------

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
        skip = self._skip or self.skip
        if skip is not None and self._scanning is not None:
            narrowed = self._scanning.narrow(event, mask, skip)
            if narrowed is not None:
                return narrowed
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
        if now_ns <= lane.until_ns:
            for keys in self._asked.get(later) or self._keys_of(later):
                if keys.is_open(event, now_ns):
                    shut &= ~keys.own
        if shut:
            lane.pass_over(now_ns, shut)
        return shut

    def passes(self, mask: int, now_ns: int, host: str) -> bool:
        """Pass over an event of later stages alone (`is_all_later`), if that is quickly said: False says nothing."""
        across = mask & self._across
        lanes = [(self._at(name), own) for name, own in ((host, mask ^ across), (EVERY_HOST, across)) if own]
        if any(now_ns <= lane.until_ns for lane, _ in lanes):
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
            shut = part
            if now_ns <= lane.until_ns:
                for keys in self._keys_of(part):
                    if is_open(keys):
                        shut &= ~keys.own
            if shut:
                passed |= shut
                lane.pass_over(now_ns, shut)
        return passed

    def _keys_of(self, later: int) -> tuple[OpenKeys, ...]:
        known = self._asked.get(later)
        if known is None:
            known = tuple(keys for keys in self._keys.values() if keys.own & later)
            if len(self._asked) > _MOST:
                self._asked.clear()
            self._asked[later] = known
        return known

    # --- events that wait in the scanner ---------------------------------------------------------------------------

    def lane(self, host: str) -> Lane | None:
        """Give the scanner's lane of a host; None without a scanner."""
        lane = self._at(host)
        return lane.lane if isinstance(lane, ScannedOpen) else None

    def lanes(self) -> Iterator[tuple[str, Lane]]:
        """Give the scanner's lanes of all hosts, by their names."""
        for host, lane in self._open.items():
            if isinstance(lane, ScannedOpen):
                yield host, lane.lane

    def parked(self, rule: CompiledRule, lane: Lane, texts: Texts | None) -> list[Parked]:
        """Give the events that began a sequence of a rule at a host, all or those with a key; they wait no longer."""
        number = self._openers.get(rule.roles[0])
        return [] if number is None else lane.parked(number, texts)

    @property
    def parked_bytes(self) -> int:
        """Give how much the events take that wait in the scanner for what continues them."""
        return sum(lane.bytes for _, lane in self.lanes())

    @property
    def sampled_bytes(self) -> int:
        """Give how much the events of samples take that wait in the scanner."""
        return self._skip.sample_bytes if self._skip is not None else 0

    def sampled(self, rule: CompiledRule) -> list[Parked]:
        """Give the events of a sample that wait in the scanner, in their order; they wait no longer."""
        number = self._sample_numbers.get(rule)
        return [] if number is None or self._skip is None else self._skip.sampled(number)

    def seen(self, rule: CompiledRule) -> set[int]:
        """Give the numbers of the stages of a sample that events fulfil which waited in the scanner."""
        number = self._sample_numbers.get(rule)
        bits = 0 if number is None or self._skip is None else self._skip.seen(number)
        return {number for place, role in enumerate(rule.roles) if bits >> place & 1 for number in role.numbers}

    def all_parked(self, *, alive: bool = False) -> Iterator[tuple[CompiledRule, str, list[Parked]]]:
        """Give all events that wait in the scanner, by rule and host; they wait no longer.

        If only those that are `alive`, an event of the rule that is not earlier than all others may continue them.
        """
        by_number = {number: role.rule for role, number in self._openers.items()}
        for host, lane in self.lanes():
            for number, _, last_ns in lane.spans() if lane.bytes else ():
                if found := lane.parked(number, None, last_ns if alive else EARLIEST):
                    yield by_number[number], host, found

    def spans(self) -> Iterator[tuple[CompiledRule, str, int, int]]:
        """Give the first and last time of events that waited in the scanner, by rule and host."""
        by_number = {number: role.rule for role, number in self._openers.items()}
        for host, lane in self.lanes():
            for number, first_ns, last_ns in lane.spans():
                yield by_number[number], host, first_ns, last_ns

    # --- opening ---------------------------------------------------------------------------------------------------

    def opened_for(self, role: Role, host: str, at_ns: int, text: str | Texts) -> None:
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
        if until_ns > lane.until_ns:
            lane.until_ns = until_ns

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
    return min(at_ns + rule.maxspan_ns, LATEST)


def _always_open(keys: OpenKeys) -> bool:
    return True


def _earliest(values: Sequence[Any]) -> int | None:
    return min((time for time in map(time_ns, values) if time is not None), default=None)
