"""The few things about a detection that every view shows: host, user, time, and how the events follow each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maxspan.alerts.build import ORIGINAL_TIME, Alert
from maxspan.alerts.fields import Fields, first
from maxspan.alerts.group import AlertGroup
from maxspan.sources.document import flatten
from maxspan.sources.timestamps import parse_timestamp_ns


@dataclass(frozen=True, slots=True)
class Reading:
    """A detection as its views need it: `events` flat and in order, `times_ns` beside them.

    `missing` are the steps (from 1) for which rightly nothing came; they have no event.
    """

    events: tuple[Fields, ...]
    times_ns: tuple[int | None, ...]
    host: str
    user: str
    time: str
    missing: tuple[int, ...] = ()

    def number(self, position: int) -> int:
        """Give the step (from 1) of the rule that the event at `position` (from 1) stands for."""
        for step in self.missing:
            position += step <= position
        return position

    @property
    def duration(self) -> str:
        """Give the time from the earliest to the latest event; empty where times are not known."""
        known = [time for time in self.times_ns if time is not None]
        return elapsed(max(known) - min(known)) if len(known) > 1 else ""

    def after(self, step: int) -> str:
        """Give how long after the first event the event at `step` (from 1) came; empty for the first."""
        begin, time = self.times_ns[0], self.times_ns[step - 1]
        if step == 1 or begin is None or time is None:
            return ""
        return f"+{elapsed(time - begin).replace(' ', '')}"


def read(group: AlertGroup) -> Reading:
    documents: Sequence[Alert] = group.blocks or (group.head,)
    return read_events(
        [flatten(document) for document in documents],
        [parse_timestamp_ns(document.get(ORIGINAL_TIME)) for document in documents],
        moment(str(group.head.get(ORIGINAL_TIME, ""))),
        group.missing,
    )


def read_events(
    events: Sequence[Fields], times_ns: Sequence[int | None], time: str, missing: Sequence[int] = ()
) -> Reading:
    """Read flat events in order; `time` is the moment that stands for all of them."""
    return Reading(
        events=tuple(events),
        times_ns=tuple(times_ns),
        host=_agreed(events, "host.name", "host.hostname", "host.id"),
        user=_agreed(events, "user.name", "user.email", "user.id"),
        time=time,
        missing=tuple(missing),
    )


def _agreed(events: Sequence[Fields], *names: str) -> str:
    """Give what the events say, several values with commas."""
    return ", ".join(dict.fromkeys(value for event in events if (value := first(event, *names))))


def moment(iso: str) -> str:
    """Write `2026-11-24T03:06:14.798060Z` for people: `2026-11-24 03:06:14.798 UTC`."""
    day, _, clock = iso.removesuffix("Z").partition("T")
    seconds, _, fraction = clock.partition(".")
    return f"{day} {seconds}.{fraction[:3]} UTC" if clock else iso


def elapsed(time_ns: int) -> str:
    """Write a duration in the unit that suits it: `340 µs`, `2.3 ms`, `0.70 s`, `4 min 5 s`, `3 h 2 min`, `2 d 4 h`."""
    sign, time_ns = ("-", -time_ns) if time_ns < 0 else ("", time_ns)
    if time_ns < 1_000_000:
        return f"{sign}{time_ns / 1_000:.0f} µs"
    if time_ns < 100_000_000:
        return f"{sign}{time_ns / 1_000_000:.1f} ms"
    if time_ns < 60_000_000_000:
        return f"{sign}{time_ns / 1_000_000_000:.2f} s"
    seconds = round(time_ns / 1_000_000_000)
    for large, small, unit, sub in ((86400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if seconds >= large:
            rest = seconds % large // small
            return f"{sign}{seconds // large} {unit}" + (f" {rest} {sub}" if rest else "")
    return f"{sign}{seconds} s"
