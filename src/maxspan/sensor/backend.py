"""What every source of records looks like: BPF, audit and a replayed recording are the same to the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from maxspan.sensor.records import Record


class KindCounters(Struct, frozen=True, gc=False):
    """How many records of one kind the kernel side saw, handed over, lost and clipped, since the start.

    `seen == sent + lost` always holds for a complete reading; `clipped` ones are part of `sent` or `lost`. `sent`
    ones may still lie in the ring buffer: they are handed out by the next `poll`.
    """

    seen: int = 0
    sent: int = 0
    lost: int = 0
    clipped: int = 0


class Backend(Protocol):
    """A source of records.

    Used by one thread: `start` once, `poll` again and again, `close` once (also after a failed start). `counters` may
    be called by another thread.
    """

    @property
    def name(self) -> str:
        """Short name, as in `--backend NAME`."""

    @property
    def pace_s(self) -> float:
        """How far apart in seconds the batches are at present, if records come; 0 for one that hands out at once."""

    @property
    def missing_fields(self) -> Mapping[str, str]:
        """What this backend cannot give here, and why. Known after `start`.

        Keys are "kind.field", "kind" for a whole kind, or "kind:part" for some of its records."""

    def start(self) -> None:
        """Begin to watch. Everything that happens from the return on is counted and, if there is room, handed out.

        Raises SensorError with a remedy when the host does not allow it."""

    def poll(self, timeout_ms: int) -> list[Record]:
        """Hand out what came in, oldest first; wait up to `timeout_ms` when there is nothing (0: do not wait).

        Empty when nothing came in time. A call hands out a bounded batch: call again at once, until it is empty.
        Raises SensorError when the source broke down."""

    def counters(self) -> Mapping[str, KindCounters]:
        """Counters by kind (`records.KINDS`), every kind that the backend knows, also those that are all zero."""

    def know(self, key: tuple[int, ...]) -> None:
        """Take notice of a program (see `processes.key_of`) of which no more has to be found out."""

    def close(self) -> None:
        """Stop watching and free everything; records that were not polled are gone. Safe to call twice."""
