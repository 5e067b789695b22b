"""From a backend to lines: attach, read what is there, then hand over what happens."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Final

from msgspec.json import encode

from maxspan.errors import SensorError
from maxspan.sensor import procfs
from maxspan.sensor.accounts import Accounts
from maxspan.sensor.backend import Backend
from maxspan.sensor.clock import measure_offset_ns
from maxspan.sensor.documents.envelope import LEDGER
from maxspan.sensor.encoder import Encoder
from maxspan.sensor.entity import EntityIds
from maxspan.sensor.hashes import Hashes
from maxspan.sensor.ledger import Flows, Ledger, read_ledger
from maxspan.sensor.machine import Machine, read_machine
from maxspan.sensor.processes import ProcessTable
from maxspan.sensor.records import Record

#: Records in a row that cannot be decoded before the sensor gives up.
UNREADABLE_LIMIT: Final = 1000

#: When a poll brought so many records, the next one waits a moment first: everything costs less in larger batches.
#: When it brought very many, it does not: room may run out. A backend with a pace of its own is left to it.
BUSY: Final = 48
FLOOD: Final = 2048
GATHER_MS: Final = 60


class Collector:
    """Hands over events as lines. `start`, then `poll` again and again, then `close`; all in one thread.

    The backend has been started before: what happens while /proc is read waits in it, and nothing falls between.
    `watched` says of a path whether it is watched. `read_all` gives the processes that are there at the start; their
    events have the time `began_ns` (before the backend was started), so that nothing seen meanwhile is older.
    `caught_up` is true when the last `poll` found nothing more to read; `newest_ns` is the time of the latest record.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        machine: Machine | None = None,
        watched: Callable[[str], bool] | None = None,
        hashes: bool = True,
        read_all: Callable[[], Iterable[procfs.Running]] = procfs.read_all,
        table: ProcessTable | None = None,
        began_ns: int | None = None,
    ) -> None:
        machine = machine if machine is not None else read_machine()
        self.backend = backend
        self.flows = Flows()
        self.keeps_events = False
        self.caught_up = False
        self.newest_ns = 0
        self._busy = False
        self._began_ns = time.time_ns() if began_ns is None else began_ns
        self._read_all = read_all
        self._hashes = Hashes(know=backend.know) if hashes else None
        self.table = table or ProcessTable(
            EntityIds(machine.machine_id, machine.boot_id),
            Accounts(),
            offset_ns=measure_offset_ns(),
            own_pid=os.getpid(),
        )
        self.encoder = Encoder(machine, self.table, hashes=self._hashes, watched=watched)
        self._ledger_action = self.encoder.envelope.action("ledger", "host", "info", LEDGER, kind="metric")
        self._last: Ledger | None = None
        self._lost_ends = 0

    def start(self) -> list[bytes]:
        """Read what runs already, and give an event for each process."""
        self.encoder.now(time.time_ns())
        lines = self.encoder.running(self._read_all(), self._began_ns)
        self.flows.running = len(lines)
        return self._fed(lines)

    def poll(self, timeout_ms: int) -> list[bytes]:
        """Wait up to `timeout_ms` for records and give the lines of a batch, oldest first."""
        if self._busy and timeout_ms > GATHER_MS:
            time.sleep(GATHER_MS / 1000)
        try:
            records = self.backend.poll(timeout_ms)
        except SensorError:
            self.caught_up = False
            self.flows.unreadable += 1
            if self.flows.unreadable > UNREADABLE_LIMIT:
                raise
            return []
        self.caught_up = not records
        if records:
            self.newest_ns = max(self.newest_ns, records[-1].time_ns)
        if timeout_ms:
            self._busy = not self.backend.pace_s and BUSY <= len(records) < FLOOD
        return self._fed(self._encoded(records)) if records else []

    def ledger(self) -> Ledger:
        """Read the books; takes out processes whose ends were lost when there are new ones of those."""
        kernel = self.backend.counters()
        ends = sum(kernel[kind].lost for kind in ("exit", "skipped", "audit", "audit_gaps") if kind in kernel)
        if ends > self._lost_ends:
            self._lost_ends = ends
            self.table.sweep()
        return read_ledger(kernel, self.encoder.counters, self.flows, keeps_events=self.keeps_events)

    def ledger_line(self, ledger: Ledger, time_ns: int) -> bytes:
        """Give a reading of the books as an event, with what the process table did."""
        table = self.table.counters
        told = ledger.document(self._last)
        told["processes"] = {
            "live": len(self.table.live),
            "ended_kept": len(self.table.ended),
            **{name: getattr(table, name) for name in table.__struct_fields__},
        }
        if self._hashes is not None:
            counters = self._hashes.counters
            told["hashes"] = {name: getattr(counters, name) for name in counters.__struct_fields__}
        self._last = ledger
        self.flows.ledgers += 1
        begin = self.encoder.envelope.begin(time_ns, self._ledger_action)
        return self._fed([b'%b,"maxspan":{"ledger":%b}}' % (begin, encode(told))])[0]

    def close(self) -> None:
        self.backend.close()
        if self._hashes is not None:
            self._hashes.close()

    def _encoded(self, records: list[Record]) -> list[bytes]:
        self.encoder.now(time.time_ns())
        return self.encoder.encode(records)

    def _fed(self, lines: list[bytes]) -> list[bytes]:
        self.flows.fed += len(lines)
        return lines
