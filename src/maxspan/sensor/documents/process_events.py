"""Events of `endpoint.events.process`: fork, exec, end, changes of ids, kernel modules and BPF programs."""

from __future__ import annotations

from typing import Final

from msgspec.json import encode

from maxspan.sensor.documents.capabilities import capabilities_part, taint_letters
from maxspan.sensor.documents.descriptors import descriptors_part
from maxspan.sensor.documents.envelope import Envelope
from maxspan.sensor.hashes import Hashes
from maxspan.sensor.process import Process
from maxspan.sensor.program import Program
from maxspan.sensor.records import (
    ARGS_CLIPPED,
    ARGS_UNREAD,
    DELETED,
    DIRECTORY_CLIPPED,
    ENVIRONMENT_CLIPPED,
    PATH_CLIPPED,
    BpfLoad,
    Exec,
    Exit,
    Fork,
    IdsChange,
    Module,
    Record,
)

SELF: Final = b',"maxspan":{"self":true}'
#: A process that a signal killed has this plus the signal as its exit code, as shells tell it.
_SIGNALLED: Final = 128
_CLIPPED: Final = (
    (ARGS_CLIPPED | ARGS_UNREAD, b'"command_line_truncated":true'),
    (PATH_CLIPPED, b'"executable_truncated":true'),
    (DIRECTORY_CLIPPED, b'"working_directory_truncated":true'),
    (ENVIRONMENT_CLIPPED, b'"env_vars_truncated":true'),
    (DELETED, b'"executable_deleted":true'),
)
_CHANGES: Final = {"uid": "uid_change", "gid": "gid_change", "session": "session_id_change"}


class ProcessEvents:
    """Writes events about processes, and the part of all other events that says which process it was."""

    def __init__(self, envelope: Envelope, hashes: Hashes | None) -> None:
        self._envelope = envelope
        self._hashes = hashes
        self._fork = envelope.action("fork", "process", "start")
        self._exec = envelope.action("exec", "process", "start")
        self._end = envelope.action("end", "process", "end")
        self._running = envelope.action("already_running", "process", "info")
        self._changes = {kind: envelope.action(name, "process", "change") for kind, name in _CHANGES.items()}
        self._module = envelope.action("load_module", "process", "start")
        self._bpf = envelope.action("load_bpf_program", "process", "info")

    def fork(self, record: Fork, process: Process) -> bytes:
        return self._envelope.begin(record.time_ns, self._fork) + self.subject(process, record.tid, process.comm)

    def execute(self, record: Exec, process: Process, before: Program) -> bytes:
        """Write an exec; `before` is the program that the process ran until then."""
        extra = b',"previous":{%b}' % before.main
        if record.environment:
            chosen = [f"{name}={value}" for name, value in sorted(record.environment.items())]
            extra += b',"env_vars":%b' % encode(chosen)
        inner = [descriptors_part(record.descriptors)] if record.descriptors else []
        if record.flags:
            inner += [part for bit, part in _CLIPPED if record.flags & bit]
        if inner:
            extra += b',"Ext":{%b}' % b",".join(inner)
        return self._envelope.begin(record.time_ns, self._exec) + self.subject(
            process, record.tid, record.comm, extra, capabilities=True
        )

    def end(self, record: Exit, process: Process) -> bytes:
        code = _SIGNALLED + record.signal if record.signal else record.exit_code
        extra = b',"exit_code":%d' % code
        if record.signal:
            extra += b',"Ext":{"signal":%d}' % record.signal
        return self._envelope.begin(record.time_ns, self._end) + self.subject(process, record.tid, process.comm, extra)

    def running(self, time_ns: int, process: Process) -> bytes:
        """Write that a process was there when the sensor began."""
        return self._envelope.begin(time_ns, self._running) + self.subject(
            process, process.pid, process.comm, capabilities=True
        )

    def change(self, record: IdsChange, process: Process) -> bytes:
        return self._envelope.begin(record.time_ns, self._changes[record.change]) + self.subject(
            process, record.tid, record.comm or process.comm, capabilities=True
        )

    def module(self, record: Module, process: Process) -> bytes:
        told: dict[str, str] = {"name": record.name, "version": record.version, "src_version": record.source_version}
        told = {key: value for key, value in told.items() if value}
        if record.taints:
            told |= {"taints": str(record.taints), "taint_flags": taint_letters(record.taints)}
        extra = b',"Ext":{"load_module":%b}' % encode(told)
        return self._about(record, process, extra, self._envelope.begin(record.time_ns, self._module))

    def bpf(self, record: BpfLoad, process: Process) -> bytes:
        told = {
            "name": record.name,
            "program_type": record.program_type,
            "attach_type": record.attach_type,
            "instructions": record.instructions,
        }
        extra = b',"Ext":{"bpf_program":%b}' % encode(told)
        return self._about(record, process, extra, self._envelope.begin(record.time_ns, self._bpf))

    def _about(self, record: Record, process: Process, extra: bytes, begin: bytes) -> bytes:
        return begin + self.subject(process, record.tid, process.comm, extra)

    def subject(
        self, process: Process, tid: int, comm: str, extra: bytes = b"", *, capabilities: bool = False
    ) -> bytes:
        """Give `,"process":{...},"user":{...},"group":{...}` and the end of the document.

        `extra` are more members of `process`, each after a comma."""
        program = process.program
        thread = b'"id":%d,"name":%b' % (tid or process.pid, encode(comm))
        ids = process.ids
        if capabilities and (ids.capabilities_permitted or ids.capabilities_effective):
            thread += capabilities_part(ids.capabilities_effective, ids.capabilities_permitted)
        return b',"process":{%b,%b,%b,%b%b%b,"thread":{%b}%b}%b%b%b}' % (
            process.head,
            program.main,
            program.rest,
            process.who,
            process.hash or self._hash(process),
            process.relations_part(),
            thread,
            extra,
            process.account,
            process.container,
            SELF if process.own else b"",
        )

    def _hash(self, process: Process) -> bytes:
        if not process.image or self._hashes is None:
            return b""
        part = process.hash = self._hashes.get(process.image)
        if not part:
            self._hashes.counters.events_without += 1
        return part
