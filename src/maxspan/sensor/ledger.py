"""The books of the sensor: what the kernel side saw, what came over, what became of it; and whether that adds up.

For each kind of record, at every moment:

    seen == sent + lost                          (kernel side; a probe that runs just now is not through yet)
    sent == received + waiting + unreadable      (waiting: still in the ring; unreadable: could not be decoded)
    received == events + used + aside            (events written, records that only told us something, left aside)

and over all kinds, with the sensor's own events (processes that were there, ledgers):

    events + running + ledgers == fed == written + not_written
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from maxspan.sensor.backend import KindCounters
from maxspan.sensor.encoder import Encoded

_NOTHING: Final = KindCounters()
_NO_EVENTS: Final = Encoded()


class Row(Struct, frozen=True):
    """The books of one kind of record."""

    kind: str
    seen: int
    sent: int
    lost: int
    clipped: int
    received: int
    events: int
    used: int
    aside: int
    late: int

    @property
    def waiting(self) -> int:
        """Count what was sent and not received: it lies in the ring, or could not be read."""
        return self.sent - self.received

    def errors(self, *, drained: bool) -> list[str]:
        """Say what does not add up; with `drained` nothing may be waiting."""
        out = []
        if self.seen != self.sent + self.lost:
            out.append(f"{self.kind}: {self.seen:,} seen, but {self.sent:,} sent and {self.lost:,} lost")
        if self.waiting < 0 or (drained and self.waiting):
            out.append(f"{self.kind}: {self.sent:,} sent, but {self.received:,} received")
        if self.received != self.events + self.used + self.aside:
            out.append(
                f"{self.kind}: {self.received:,} received, but {self.events:,} events, {self.used:,} used and "
                f"{self.aside:,} left aside"
            )
        return out


class Flows(Struct):
    """What happened to lines behind the encoder. `unreadable` counts failures to decode, not records."""

    running: int = 0
    ledgers: int = 0
    fed: int = 0
    written: int = 0
    not_written: int = 0
    unreadable: int = 0


class Ledger(Struct, frozen=True):
    """A reading of all books at one moment."""

    rows: tuple[Row, ...]
    flows: Flows
    keeps_events: bool = False

    @property
    def lost(self) -> int:
        """Count the records that never became an event: lost in the kernel, or not readable."""
        return sum(row.lost for row in self.rows) + self.flows.unreadable

    @property
    def clipped(self) -> int:
        return sum(row.clipped for row in self.rows)

    @property
    def late(self) -> int:
        return sum(row.late for row in self.rows)

    @property
    def events(self) -> int:
        return sum(row.events for row in self.rows)

    def errors(self, *, drained: bool = False) -> list[str]:
        """Say what does not add up; empty when the books balance."""
        out = [error for row in self.rows for error in row.errors(drained=drained and not self.flows.unreadable)]
        flows = self.flows
        if self.events + flows.running + flows.ledgers != flows.fed:
            out.append(
                f"{self.events:,} events, {flows.running:,} of running processes and {flows.ledgers:,} ledgers, but "
                f"{flows.fed:,} went to the rules"
            )
        if self.keeps_events and flows.fed != flows.written + flows.not_written:
            out.append(
                f"{flows.fed:,} events, but {flows.written:,} written and {flows.not_written:,} that could not be"
            )
        return out

    def document(self, before: Ledger | None) -> dict[str, Any]:
        """Give the members of `maxspan.ledger`: all kinds that were seen, totals, and what was lost since `before`."""
        kinds = {
            row.kind: {
                "seen": row.seen,
                "sent": row.sent,
                "lost": row.lost,
                "clipped": row.clipped,
                "received": row.received,
                "events": row.events,
                "used": row.used,
                "aside": row.aside,
                "late": row.late,
            }
            for row in self.rows
            if row.seen or row.received
        }
        flows = self.flows
        return {
            "kinds": kinds,
            "lost": self.lost,
            "lost_since_last": self.lost - (before.lost if before is not None else 0),
            "clipped": self.clipped,
            "late": self.late,
            "unreadable": flows.unreadable,
            "running": flows.running,
            "ledgers": flows.ledgers,
            "fed": flows.fed,
            "written": flows.written,
            "not_written": flows.not_written,
            "balanced": not self.errors(),
        }


def read_ledger(
    kernel: Mapping[str, KindCounters], encoded: Mapping[str, Encoded], flows: Flows, *, keeps_events: bool = False
) -> Ledger:
    """Put the counters of both sides together, kind by kind, as they are at this moment."""
    rows = []
    for kind in dict.fromkeys((*kernel, *encoded)):
        below, above = kernel.get(kind, _NOTHING), encoded.get(kind, _NO_EVENTS)
        rows.append(
            Row(
                kind=kind,
                seen=below.seen,
                sent=below.sent,
                lost=below.lost,
                clipped=below.clipped,
                received=above.received,
                events=above.events,
                used=above.used,
                aside=above.aside,
                late=above.late,
            )
        )
    copy = Flows(**{name: getattr(flows, name) for name in Flows.__struct_fields__})
    return Ledger(tuple(rows), copy, keeps_events)
