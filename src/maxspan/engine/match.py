"""What the engine finds: events, and the matches that rules make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from maxspan.rules.model import Rule

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class MatchedEvent:
    """One source event of a match, kept as the line that it came in.

    `raw` is the JSON of the event itself: for a line of an Elasticsearch export the `_source` (or `fields`) object,
    with `index` and `id` from the wrapper. `position` counts the events of the whole input from 0; `path` and `line`
    (from 1) say where it stood. `timestamp_ns` is nanoseconds since 1970, UTC; `None` where the event has none.
    """

    raw: bytes
    timestamp_ns: int | None
    position: int
    path: str = ""
    line: int = 0
    index: str = ""
    id: str = ""

    def document(self) -> dict[str, Any]:
        """Decode the event anew; the caller owns the dictionary."""
        value: dict[str, Any] = _decode(self.raw)
        return value


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule, the event of each stage (`None` where `![...]` was rightly missing) and the join keys."""

    rule: Rule
    events: tuple[MatchedEvent | None, ...]
    join_keys: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """One match of an ad-hoc query, as `maxspan.query` gives it.

    `positions` index the input (`None` for a missing event), `events` are the documents themselves, `join_keys` the
    values that the events share: strings as Elasticsearch returns them (`"null"` for null).
    """

    positions: tuple[int | None, ...]
    events: tuple[Mapping[str, Any] | None, ...]
    join_keys: tuple[Any, ...] = ()
