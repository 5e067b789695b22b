"""A backend that replays records, some of which the kernel side lost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from maxspan.errors import SensorError
from maxspan.sensor.backend import KindCounters
from maxspan.sensor.records import KINDS, Record


class ReplayBackend:
    """Hands out `batch` records a poll; of each pair the flag says that it was lost. `broken` polls raise.

    `live`: a record has the time at which it is handed out."""

    name = "replay"
    pace_s = 0.0

    def __init__(
        self,
        records: Sequence[tuple[Record, bool]] = (),
        *,
        batch: int = 100,
        missing: Mapping[str, str] | None = None,
        broken: int = 0,
        live: bool = False,
    ) -> None:
        self._live = live
        self._records = list(records)
        self._batch = batch
        self._broken = broken
        self._missing = missing or {}
        self._counts = {kind: [0, 0, 0] for kind in KINDS}
        self.closed = False

    @property
    def missing_fields(self) -> Mapping[str, str]:
        return self._missing

    def start(self) -> None:
        return None

    def poll(self, timeout_ms: int) -> list[Record]:
        if self._broken:
            self._broken -= 1
            raise SensorError("a record of an unknown kind")
        out: list[Record] = []
        while self._records and len(out) < self._batch:
            record, lost = self._records.pop(0)
            if self._live:
                record.time_ns = time.time_ns()
            counts = self._counts[record.kind]
            counts[0] += 1
            counts[2 if lost else 1] += 1
            if not lost:
                out.append(record)
        return out

    def counters(self) -> Mapping[str, KindCounters]:
        return {kind: KindCounters(seen, sent, lost) for kind, (seen, sent, lost) in self._counts.items()}

    def know(self, key: tuple[int, ...]) -> None:
        return None

    def close(self) -> None:
        self.closed = True
