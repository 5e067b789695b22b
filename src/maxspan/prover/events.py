"""Events in time: fields per event become lines of JSON, in the order and at the distance that a query asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from maxspan.languages import plan
from maxspan.prover.samples import Scalar, is_list_field

MS: Final = 1_000_000
_SECOND: Final = 1000 * MS
#: 2026-01-01T09:00:00Z
START_NS: Final = 1_767_258_000 * _SECOND

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Draft:
    """One event: the stage that it is for (-1 for none), its fields, and when it happens."""

    stage: int
    fields: Mapping[str, Sequence[Scalar]]
    time_ns: int

    def at(self, time_ns: int) -> Draft:
        return replace(self, time_ns=time_ns)


def gap_ns(query: plan.Query, count: int) -> int:
    """Give the time between two events so that all of them, and one more at either end, fit into `maxspan`."""
    span = query.maxspan_ns if isinstance(query, plan.SequenceQuery) else None
    if span is None:
        return _SECOND
    gap = min(_SECOND, span // (count + 1))
    return gap // MS * MS if gap >= MS else gap


def documents(drafts: Sequence[Draft], *, timestamp: str = "@timestamp", tiebreaker: str = "event.sequence") -> bytes:
    """Write drafts as lines of JSON, one event a line, in order of time; `event.sequence` counts them."""
    lines: list[bytes] = []
    for number, draft in enumerate(drafts, 1):
        fields = dict(draft.fields)
        fields.setdefault(timestamp, [iso(draft.time_ns)])
        fields.setdefault(tiebreaker, [number])
        if tiebreaker == "event.sequence":
            fields.setdefault("event.id", [f"event-{number}"])
        lines.append(_encode(nested(fields)) + b"\n")
    return b"".join(lines)


def iso(time_ns: int) -> str:
    """Write nanoseconds since 1970 as ISO time in UTC: milliseconds, or nanoseconds where they are needed."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ns // _SECOND)
    rest = time_ns % _SECOND
    fraction = f"{rest // MS:03}" if rest % MS == 0 else f"{rest:09}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}Z"


def nested(fields: Mapping[str, Sequence[Scalar]]) -> dict[str, Any]:
    """Write dotted names as objects; a name below one that holds a value itself stays dotted."""
    out: dict[str, Any] = {}
    for name in _ordered(fields):
        values = fields[name]
        if not values:
            continue
        value: Any = list(values) if len(values) > 1 or is_list_field(name) else values[0]
        parts = name.split(".")
        at = out
        for depth, part in enumerate(parts[:-1]):
            inner = at.setdefault(part, {})
            if not isinstance(inner, dict):
                at[".".join(parts[depth:])] = value
                break
            at = inner
        else:
            at[parts[-1]] = value
    return out


def _ordered(fields: Iterable[str]) -> list[str]:
    """Put the timestamp first, then names in alphabetical order: a name always comes before those below it."""
    return sorted(fields, key=lambda name: (not name.startswith("@"), name))
