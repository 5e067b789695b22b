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
    """A detection as its views need it: `events` flat and in order, `times_ns` beside them."""

    events: tuple[Fields, ...]
    times_ns: tuple[int | None, ...]
    host: str
    user: str
    time: str

    @property
    def duration(self) -> str:
        """Give the time from the earliest to the latest event; empty where times are not known."""
        known = [time for time in self.times_ns if time is not None]
        return elapsed(max(known) - min(known)) if len(known) > 1 else ""

    def after(self, step: int) -> str:
        """Give how long after the first event step `step` (from 1) came; empty for the first."""
        begin, time = self.times_ns[0], self.times_ns[step - 1]
        return f"+{elapsed(time - begin)}" if step > 1 and begin is not None and time is not None else ""


def read(group: AlertGroup) -> Reading:
    documents: Sequence[Alert] = group.blocks or (group.head,)
    events = tuple(flatten(document) for document in documents)
    times = tuple(parse_timestamp_ns(document.get(ORIGINAL_TIME)) for document in documents)
    return Reading(
        events=events,
        times_ns=times,
        host=_agreed(events, "host.name", "host.hostname", "host.id"),
        user=_agreed(events, "user.name", "user.email", "user.id"),
        time=moment(str(group.head.get(ORIGINAL_TIME, ""))),
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
