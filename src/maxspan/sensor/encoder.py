"""Records in, lines out: the process table and the documents behind one door."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct

from maxspan.sensor import procfs
from maxspan.sensor.documents.envelope import Envelope
from maxspan.sensor.documents.file_events import FileEvents
from maxspan.sensor.documents.network_events import NetworkEvents
from maxspan.sensor.documents.process_events import ProcessEvents
from maxspan.sensor.hashes import Hashes
from maxspan.sensor.machine import Machine
from maxspan.sensor.process import Process
from maxspan.sensor.processes import ProcessTable, key_of
from maxspan.sensor.program import unknown_program
from maxspan.sensor.records import (
    RECORD_TYPES,
    UNSURE,
    Accept,
    BpfLoad,
    Cgroup,
    Close,
    Connect,
    Connected,
    Datagram,
    Exec,
    Exit,
    FileOpen,
    FilePath,
    Fork,
    IdsChange,
    Image,
    Module,
    Record,
    SocketRecord,
)

#: Open connections whose process is remembered, for the end of the connection.
CONNECTIONS: Final = 16_384


class Encoded(Struct):
    """What became of the records of one kind: events, records that only told us something, and those left aside.

    `received == events + used + aside`, always. `late` records belong to a process that had ended."""

    received: int = 0
    events: int = 0
    used: int = 0
    aside: int = 0
    late: int = 0


class Encoder:
    """Writes the event of a record. `watched` says whether a path belongs to those that are watched.

    `counters` are by kind of record; the time of `event.created` is the one that `now` was told last.
    """

    def __init__(
        self,
        machine: Machine,
        table: ProcessTable,
        *,
        hashes: Hashes | None = None,
        watched: Callable[[str], bool] | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self.table = table
        self.hashes = hashes
        self.envelope = Envelope(machine)
        self.counters = {cls.kind: Encoded() for cls in RECORD_TYPES}
        self.forgotten_connections = 0
        self._watched = watched
        self._limit = connections
        self._connections: OrderedDict[int, Process] = OrderedDict()
        self._processes = ProcessEvents(self.envelope, hashes)
        self._network = NetworkEvents(self.envelope, self._processes)
        self._files = FileEvents(self.envelope, self._processes)
        self._by_type: dict[type[Record], Callable[[Any], bytes]] = {
            Fork: self._fork,
            Exec: self._exec,
            Exit: self._exit,
            Cgroup: self._cgroup,
            Connect: self._connect,
            Connected: self._connected,
            Accept: self._accept,
            Close: self._close,
            Datagram: self._datagram,
            FileOpen: self._open,
            FilePath: self._path,
            Module: self._module,
            BpfLoad: self._bpf,
            IdsChange: self._ids,
        }

    def now(self, time_ns: int) -> None:
        self.envelope.created(time_ns)
        self.table.accounts.renew()

    def running(self, processes: Iterable[procfs.Running], time_ns: int) -> list[bytes]:
        """Take in what /proc told at the start, and give an event for each process that is no kernel thread."""
        known = self.table.snapshot(processes)
        if self.hashes is not None:
            for process in known:
                self.hashes.ask(process.image, process.pid, process.program.executable)
        return [self._processes.running(time_ns, process) for process in known if process.program.executable]

    def encode(self, records: list[Record]) -> list[bytes]:
        """Give the lines (without newline) of a batch, in its order."""
        if self.hashes is not None:
            self._prepare(records, self.hashes)
        out: list[bytes] = []
        by_type, counters = self._by_type, self.counters
        for record in records:
            counter = counters[record.kind]
            counter.received += 1
            line = by_type[type(record)](record)
            if line:
                counter.events += 1
                out.append(line)
        return out

    def _prepare(self, records: list[Record], hashes: Hashes) -> None:
        """Order the hashes of programs that were never seen before any event of the batch is written."""
        wanted = []
        last: Image | None = None
        for record in records:
            if type(record) is Exec and record.image is not last:
                last = record.image
                key = key_of(last)
                if not hashes.known(key):
                    hashes.ask(key, record.pid, record.executable)
                    wanted.append(key)
        hashes.wait(wanted)

    def _used(self, record: Record) -> bytes:
        self.counters[record.kind].used += 1
        return b""

    def _of(self, record: Record) -> Process:
        process = self.table.of(record)
        if process.ended:
            self.counters[record.kind].late += 1
        return process

    def _fork(self, record: Fork) -> bytes:
        return self._processes.fork(record, self.table.fork(record))

    def _exec(self, record: Exec) -> bytes:
        known = self.table.find(record.pid, record.start_ns)
        before = known.program if known is not None else unknown_program(record.comm)
        return self._processes.execute(record, self.table.execute(record), before)

    def _exit(self, record: Exit) -> bytes:
        return self._processes.end(record, self.table.exit(record))

    def _cgroup(self, record: Cgroup) -> bytes:
        self.table.containers.name(record.cgroup, record.path)
        return self._used(record)

    def _remember(self, record: SocketRecord, process: Process) -> None:
        if record.socket:
            self._connections[record.socket] = process
            if len(self._connections) > self._limit:
                self._connections.popitem(last=False)
                self.forgotten_connections += 1

    def _connect(self, record: Connect) -> bytes:
        process = self._of(record)
        self._remember(record, process)
        return self._network.attempted(record, process)

    def _connected(self, record: Connected) -> bytes:
        return self._used(record)

    def _accept(self, record: Accept) -> bytes:
        process = self._of(record)
        self._remember(record, process)
        return self._network.accepted(record, process)

    def _close(self, record: Close) -> bytes:
        process = self._connections.pop(record.socket, None) if record.socket else None
        if process is None or process.pid != record.pid:
            process = self._of(record)
        elif process.ended:
            self.counters[record.kind].late += 1
        return self._network.closed(record, process)

    def _datagram(self, record: Datagram) -> bytes:
        return self._network.datagram(record, self._of(record))

    def _open(self, record: FileOpen) -> bytes:
        return self._files.opened(record, self._of(record))

    def _path(self, record: FilePath) -> bytes:
        if record.flags & UNSURE and self._watched is not None:
            if not (self._watched(record.path) or (record.source and self._watched(record.source))):
                self.counters[record.kind].aside += 1
                return b""
        return self._files.changed(record, self._of(record))

    def _module(self, record: Module) -> bytes:
        return self._processes.module(record, self._of(record))

    def _bpf(self, record: BpfLoad) -> bytes:
        return self._processes.bpf(record, self._of(record))

    def _ids(self, record: IdsChange) -> bytes:
        process = self._of(record)
        if not self.table.change(process, record.ids):
            return self._used(record)
        return self._processes.change(record, process)
