"""What an ad-hoc query found: events and sequences as they are, for a terminal, for a table, as documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from rich.console import Console, Group
from rich.text import Text

from maxspan.alerts.build import iso_timestamp
from maxspan.alerts.encode import to_safe_json
from maxspan.alerts.fields import as_text
from maxspan.alerts.group import places
from maxspan.alerts.reason import phrase_of
from maxspan.engine.match import MatchedEvent, RuleMatch
from maxspan.languages.plan import EventQuery
from maxspan.sinks.documents import JsonArray
from maxspan.sinks.layout import Barred
from maxspan.sinks.output import Output
from maxspan.sinks.reading import moment, read_events
from maxspan.sinks.style import BOLD, DIM, QUERY_BAR, clipped, joined, shown, signs_for
from maxspan.sinks.table import Columns
from maxspan.sinks.terminal import short_places, story
from maxspan.sources.document import decode_line, flatten

Fields: TypeAlias = Mapping[str, list[Any]]

_NOTHING: Final = "(nothing came, as the query demands)"


class MatchSink(Protocol):
    """Takes one match at a time; `close` writes what is still owed. Both raise `SinkError`."""

    def write(self, match: RuleMatch) -> None: ...

    def close(self) -> None: ...


def match_document(match: RuleMatch, fields: Sequence[str] = ()) -> dict[str, Any]:
    """Give a match as a document: the event itself, or for sequences and samples `{"join_keys", "events"}`.

    `null` stands for an event that was rightly missing. With `fields` an event is reduced to these, by dotted names:
    null where it has no value, a list where it has several.
    """
    events = [None if event is None else _document(event, fields) for event in match.events]
    if isinstance(match.rule.plan, EventQuery) and events[0] is not None:
        return events[0]
    return {"join_keys": list(match.join_keys), "events": events}


def _document(event: MatchedEvent, fields: Sequence[str]) -> dict[str, Any]:
    document = decode_line(event.raw)
    if not fields:
        return document
    flat = flatten(document)
    return {name: _scalar_or_list(flat.get(name, [])) for name in fields}


def _scalar_or_list(values: list[Any]) -> Any:
    return None if not values else values[0] if len(values) == 1 else values


class MatchNdjson:
    """One match a line."""

    def __init__(self, output: Output, fields: Sequence[str] = ()) -> None:
        self._output = output
        self._fields = fields

    def write(self, match: RuleMatch) -> None:
        self._output.write(to_safe_json(match_document(match, self._fields)) + b"\n")
        self._output.flush()

    def close(self) -> None:
        self._output.flush()


class MatchJson:
    """All matches as one JSON array."""

    def __init__(self, output: Output, fields: Sequence[str] = ()) -> None:
        self._array = JsonArray(output)
        self._fields = fields

    def write(self, match: RuleMatch) -> None:
        self._array.add(match_document(match, self._fields))

    def close(self) -> None:
        self._array.close()


class MatchTable:
    """One event a row: the chosen fields, else time, host, user and what happened. An empty line between sequences."""

    def __init__(self, console: Console, fields: Sequence[str] = (), *, fold: bool) -> None:
        self._fields = fields
        self._columns = Columns(console, fields or ("TIME", "HOST", "USER", "WHAT HAPPENED"), fold=fold)
        self._before = False

    def write(self, match: RuleMatch) -> None:
        gap = self._before and len(match.events) > 1
        for event in match.events:
            self._columns.add(self._cells(event), gap=gap)
            gap = False
        self._before = True

    def _cells(self, event: MatchedEvent | None) -> list[Text]:
        if event is None:
            width = len(self._fields) or 4
            return [*(Text() for _ in range(width - 1)), Text(_NOTHING, style=DIM)]
        flat = flatten(decode_line(event.raw))
        if self._fields:
            return [shown(", ".join(map(as_text, flat.get(name, ())))) for name in self._fields]
        told = read_events([flat], [event.timestamp_ns], _time(event))
        return [Text(told.time.removesuffix(" UTC")), shown(told.host), shown(told.user), shown(phrase_of(flat))]

    def close(self) -> None:
        self._columns.close()


class MatchStories:
    """Sequences for people: what they have in common, then the processes and what each of them did."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._signs = signs_for(console.encoding)
        self._count = 0

    def write(self, match: RuleMatch) -> None:
        self._count += 1
        present = [event for event in match.events if event is not None]
        missing = [step for step, event in enumerate(match.events, start=1) if event is None]
        flat = [flatten(decode_line(event.raw)) for event in present]
        reading = read_events(flat, [event.timestamp_ns for event in present], _time(present[0]), missing)
        keys = ", ".join("null" if key is None else as_text(key) for key in match.join_keys)
        head = [Text(f"match {self._count}", style=BOLD), clipped(reading.host, BOLD), Text(reading.time)]
        if reading.duration:
            head.append(Text(f"{len(present)} events in {reading.duration}"))
        head.append(clipped(f"by {keys}" if keys else "", DIM))
        body = Group(
            joined(head, f" {self._signs.dot} "),
            *story(reading, self._signs),
            shown(short_places(places(match.events)), DIM),
        )
        self._console.print(Barred(body, self._signs.bar, QUERY_BAR))
        self._console.print()

    def close(self) -> None:
        self._console.file.flush()


def _time(event: MatchedEvent) -> str:
    return "" if event.timestamp_ns is None else moment(iso_timestamp(event.timestamp_ns))
