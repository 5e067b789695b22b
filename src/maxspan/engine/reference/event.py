"""Events as the reference sees them: their fields, their place in time, their join keys."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from maxspan.engine.reference.condition import Evaluator
from maxspan.engine.reference.typed import comparable, iso_time
from maxspan.languages import plan
from maxspan.languages.eql.values import to_string
from maxspan.languages.resolve import DATE_TYPES

#: (timestamp, tiebreaker, position): the total order of events
Ordinal: TypeAlias = tuple[int, tuple[int, str, Any], int]
#: one join key: a value with the name of its type in front, so that 1, "1" and true differ
Key: TypeAlias = tuple[tuple[str, Any], ...]

_LATEST = 2**63


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `timestamp_ns` is `None` where it has none, or none that can be read; such events sort last."""

    position: int
    fields: Mapping[str, Sequence[Any]]
    timestamp_ns: int | None
    ordinal: Ordinal

    @property
    def time_ns(self) -> int:
        return _LATEST if self.timestamp_ns is None else self.timestamp_ns


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Which fields hold an event's time, the tiebreaker for equal times, and its category."""

    timestamp: str = "@timestamp"
    tiebreaker: str | None = "event.sequence"
    category: str = "event.category"


def make_event(position: int, fields: Mapping[str, Sequence[Any]], names: FieldNames, evaluator: Evaluator) -> Event:
    """Give an event its place in the order (section 1): time, tiebreaker with missing ones last, position."""
    kind = evaluator.types.get(names.timestamp, "date_nanos")
    kind = kind if kind in DATE_TYPES else "date_nanos"
    times = [comparable(value, kind, seconds=evaluator.seconds) for value in fields.get(names.timestamp, ())]
    known = [time for time in times if time is not None]
    timestamp_ns = min(known) if known else None
    time = _LATEST if timestamp_ns is None else timestamp_ns
    return Event(position, fields, timestamp_ns, (time, _tiebreaker(fields, names, evaluator), position))


def _tiebreaker(fields: Mapping[str, Sequence[Any]], names: FieldNames, evaluator: Evaluator) -> tuple[int, str, Any]:
    if names.tiebreaker is None:
        return (0, "", 0)
    kind = evaluator.types.get(names.tiebreaker, "")
    known = [comparable(value, kind, seconds=evaluator.seconds) for value in fields.get(names.tiebreaker, ())]
    tagged = [(0, _tag(value), value) for value in known if value is not None]
    return min(tagged) if tagged else (1, "", 0)


def _tag(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def in_stage(event: Event, stage: plan.Stage, names: FieldNames, evaluator: Evaluator) -> bool:
    """Whether an event belongs to a stage: its category is compared exactly, any of several will do (section 9.3)."""
    if stage.category is not None and stage.category not in event.fields.get(names.category, ()):
        return False
    return evaluator.holds(stage.where, event.fields)


def keys_of(event: Event, by: Sequence[plan.Field], evaluator: Evaluator) -> list[Key]:
    """Give the join keys of an event (section 3).

    One key per combination of distinct values; a field without a value gives none unless it is optional (`?key`):
    then null is a value.
    """
    choices: list[list[tuple[str, Any]]] = []
    for field in by:
        known = [(_tag(value), value) for value in evaluator.values(field, event.fields)]
        distinct = list(dict.fromkeys(known))
        if not distinct and field.optional:
            distinct = [("", None)]
        choices.append(distinct)
    return list(itertools.product(*choices))


def key_order(key: Key) -> tuple[Any, ...]:
    """Order keys: nulls first, then by value; values of different types by the name of the type."""
    return tuple((tag, 0 if value is None else value) for tag, value in key)


def shown_key(key: Key, by: Sequence[plan.Field], evaluator: Evaluator, *, sample: bool = False) -> tuple[Any, ...]:
    """Write a key as Elasticsearch returns it: strings, `"null"` for null, dates as ISO time (in samples: millis)."""
    out: list[Any] = []
    for field, (_, value) in zip(by, key, strict=True):
        kind = evaluator.types.get(field.name, "")
        if value is not None and kind in DATE_TYPES:
            out.append(str(value // 1_000_000) if sample else iso_time(value))
        else:
            out.append("null" if value is None else _shown(value, kind))
    return tuple(out)


def _shown(value: Any, kind: str) -> Any:
    if kind == "ip" and isinstance(value, int):
        from ipaddress import IPv4Address, IPv6Address

        return str(IPv4Address(value & 0xFFFFFFFF) if value >> 32 == 0xFFFF else IPv6Address(value))
    if kind == "version":
        return value[-1]
    return to_string(value)
