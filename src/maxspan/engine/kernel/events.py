"""Events that fulfil something, as the rest of the kernel sees them: their fields, wherever they were decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from maxspan.engine.kernel.decoding import Getter
from maxspan.engine.kernel.times import time_ns
from maxspan.engine.reference.event import Event, Key, Ordinal, keys_of, make_event
from maxspan.languages import plan

if TYPE_CHECKING:
    from maxspan.engine.kernel.compiled import CompiledRule, Role

_NO_ORDINAL: Final[Ordinal] = (0, (0, "", 0), 0)


class Decoded(Protocol):
    """What reads events of one kind, however they were decoded."""

    def getter(self, *names: str) -> Getter: ...

    def time(self, event: Any, name: str) -> int | None: ...


class DecodedFields:
    """The fields of a typed event by name, as lists of values; only fields that the rules read are there."""

    __slots__ = ("_decoded", "_getters", "event")

    def __init__(self, event: Any, decoded: Decoded, getters: dict[str | int, Getter]) -> None:
        self.event = event
        self._decoded = decoded
        self._getters = getters

    def time_ns(self, name: str) -> int | None:
        """Give a field as nanoseconds since 1970 where that is quick; None says nothing."""
        return self._decoded.time(self.event, name)

    def raw(self, name: str) -> Any:
        """Give a field as it was decoded: a scalar, a tuple, or None."""
        getter = self._getters.get(name)
        if getter is None:
            getter = self._getters[name] = self._decoded.getter(name)
        return getter(self.event)

    def key(self, by: tuple[plan.Field, ...]) -> tuple[Any, ...]:
        """Give the fields of a join key as they were decoded. Equal lists of fields are one object."""
        getter = self._getters.get(id(by))
        if getter is None:
            getter = self._getters[id(by)] = self._decoded.getter(*(field.name for field in by))
        found = getter(self.event)
        return found if len(by) > 1 else (found,)

    def get(self, name: str, default: Sequence[Any] = ()) -> Sequence[Any]:
        getter = self._getters.get(name)
        value = getter(self.event) if getter is not None else self.raw(name)
        if value is None:
            return default
        return [item for item in value if item is not None] if type(value) is tuple else (value,)


class Candidate:
    """An event that fulfils pieces of rules: the mask, its fields, and where it stood."""

    __slots__ = (
        "_hosts",
        "_keys",
        "_ordinals",
        "_times",
        "fields",
        "id",
        "index",
        "mask",
        "number",
        "path",
        "position",
        "raw",
    )

    def __init__(
        self,
        mask: int,
        fields: Any,
        position: int,
        path: str,
        number: int,
        index: str = "",
        id: str = "",
        raw: bytes = b"",
    ) -> None:
        self.mask = mask
        self.fields = fields
        self.position = position
        self.path = path
        self.number = number
        self.index = index
        self.id = id
        self.raw = raw
        self._times: dict[str, int | None] = {}
        self._ordinals: dict[int, Ordinal] = {}
        self._keys: dict[int, list[Key]] = {}
        self._hosts: tuple[str, ...] = ()

    def time_ns(self, name: str) -> int | None:
        """Give the time of the event: the earliest value of a field that is one."""
        known = self._times.get(name, 0)
        if known == 0:
            fields = self.fields
            known = fields.time_ns(name) if type(fields) is DecodedFields else None
            if known is not None:
                self._times[name] = known
                return known
            values = self.fields.get(name, ())
            if len(values) == 1:
                known = time_ns(values[0])
            else:
                times = [time_ns(value) for value in values]
                known = min((time for time in times if time is not None), default=None)
            self._times[name] = known
        return known

    def ordinal(self, rule: CompiledRule) -> Ordinal:
        """Give the place of the event in the order of a rule; see `make_event`. Equal names are one object."""
        known = self._ordinals.get(id(rule.names))
        if known is None:
            time = self.time_ns(rule.names.timestamp)
            name = rule.names.tiebreaker or "event.sequence"
            value = self.fields.get(name, ())
            if time is not None and len(value) == 1 and type(value[0]) is int and name not in rule.evaluator.types:
                known = time, (0, "number", value[0]), self.position
            else:
                known = make_event(self.position, self.fields, rule.names, rule.evaluator).ordinal
            self._ordinals[id(rule.names)] = known
        return known

    def keys(self, by: tuple[plan.Field, ...], rule: CompiledRule) -> list[Key]:
        """Give the join keys of the event; see `keys_of`.

        Lists of fields whose values are equal for all rules are one object (`Role.by`).
        """
        known = self._keys.get(id(by))
        if known is None:
            known = self._plain_keys(by, rule)
            if known is not None:
                self._keys[id(by)] = known
                return known
            event = Event(self.position, self.fields, None, _NO_ORDINAL)
            known = self._keys[id(by)] = keys_of(event, by, rule.evaluator)
        return known

    def key_of_texts(self, role: Role) -> str | tuple[str, ...] | None:
        """Give the join key of a decoded event, if it is one text a field and no type says otherwise; else None."""
        fields = self.fields
        if role.read_keys is None or type(fields) is not DecodedFields:
            return None
        found: str | tuple[str, ...] | None = role.read_keys(fields.event)
        if type(found) is str:
            return found
        if type(found) is not tuple or len(found) != len(role.by) or len(found) == 1:
            return None  # of one field, a tuple is a list of values
        for value in found:
            if type(value) is not str:
                return None
        return found

    def _plain_keys(self, by: tuple[plan.Field, ...], rule: CompiledRule) -> list[Key] | None:
        """Give the key where it is one text or whole number a field, none where a field is missing that must be there.

        None where it has to be worked out.
        """
        if not rule.has_plain_keys(by):
            return None
        fields = self.fields
        values = fields.key(by) if type(fields) is DecodedFields else [_only(fields.get(one.name, ())) for one in by]
        parts: list[tuple[str, Any]] = []
        for value, field in zip(values, by, strict=True):
            kind = type(value)
            if kind is str:
                parts.append(("str", value))
            elif kind is int:
                parts.append(("number", value))
            elif value is None and not field.optional and type(fields) is DecodedFields:
                return []
            else:
                return None
        return [tuple(parts)]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Give the ids of the hosts of the event; "" stands for all that are no strings, and for none."""
        if not self._hosts:
            self._hosts = hosts_of(self.fields.get("host.id", ()))
        return self._hosts


def _only(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else None


def listed(value: Any) -> Sequence[Any]:
    """Give a decoded field, a scalar, a tuple or None, as its values."""
    return () if value is None else value if type(value) is tuple else (value,)


def hosts_of(values: Sequence[Any]) -> tuple[str, ...]:
    """Give the distinct ids of hosts among values of `host.id`, at least one."""
    if len(values) == 1:
        return (values[0] if type(values[0]) is str else "",)
    return tuple(dict.fromkeys(value if type(value) is str else "" for value in values)) or ("",)


def numbered_lines(data: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    """Give the lines of a chunk that hold something, with their numbers."""
    for number, line in enumerate(data.split(b"\n"), first):
        if line and not line.isspace():
            yield number, line
