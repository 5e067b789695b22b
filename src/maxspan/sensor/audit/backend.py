"""The audit subsystem behind the Backend protocol.

Without an audit daemon the backend takes its place (it registers its pid and switches auditing on), with one it listens
in the multicast group. Rules carry a key with our pid; at the end, and at the next start after a crash, those and no
others are deleted, and the status is what it was. A full backlog never makes the host wait: messages are lost instead,
and counted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from maxspan.errors import SensorError
from maxspan.sensor.audit import procfs
from maxspan.sensor.audit.assemble import Assembler, AuditEvent, in_time
from maxspan.sensor.audit.message import WANTED, parse, stamp_of
from maxspan.sensor.audit.netlink import LOCKED, AuditSocket, Status
from maxspan.sensor.audit.processes import Processes
from maxspan.sensor.audit.rules import Rule, architectures, file_rules, owner_of, watch_rules
from maxspan.sensor.audit.serials import Serials
from maxspan.sensor.audit.translate import Translator
from maxspan.sensor.backend import KindCounters
from maxspan.sensor.records import (
    Accept,
    Cgroup,
    Connect,
    Connected,
    Datagram,
    Exec,
    Exit,
    FileOpen,
    FilePath,
    Fork,
    Record,
)

MISSING_FIELDS: Final[Mapping[str, str]] = {
    "close": "audit does not see connections end",
    "module": "not watched by this backend",
    "bpf": "not watched by this backend",
    "ids": "not watched by this backend",
    "ids.capabilities": "audit does not tell them",
    "exit.signal": "a process that is killed is only missed later, at the next look at /proc",
    "exec.environment": "audit does not tell it",
    "fork.cgroup": "audit does not tell it",
    "connect.socket": "audit has no number for a socket",
    "open.image": "audit tells the inode of the file only",
    "record.tid": "audit tells the process, not the thread",
}
#: What is read from /proc after the event: right for a process that is still there and has not changed it since.
LATE_FIELDS: Final[Mapping[str, str]] = {
    "exec.descriptors": "empty for a process that is gone at once",
    "exec.image": "zero for a process that is gone at once",
    "exec.cgroup": "zero for a process that is gone at once",
    "exec.ids.session": "zero for a process that is gone at once",
    "connect.flow.local": "empty when the socket is closed at once",
    "accept.flow": "without the local end when the socket is closed at once",
}
#: Kinds of counters beside those of records: what the kernel and the socket lost, and events that never came.
MESSAGES, GAPS = "audit", "audit_gaps"
BACKLOG: Final = 65536
BATCH: Final = 4096
_SWEEP_NS: Final = 2_000_000_000
#: CLOCK_REALTIME_COARSE, from which audit takes its times (uapi/linux/time.h).
_COARSE_CLOCK: Final = 5
_KINDS: Final = (Fork, Exec, Exit, Cgroup, Connect, Connected, Accept, Datagram, FileOpen, FilePath)


class AuditBackend:
    """Records from audit messages; see `maxspan.sensor.backend.Backend`.

    `watched`: folders and files whose changes are reported, as the host's own mount namespace sees them at the start;
    a "*" stands for the names that are there then."""

    name = "audit"
    pace_s = 0.0

    def __init__(self, *, watched: Iterable[str] = ()) -> None:
        self._watched = tuple(watched)
        self._lock = threading.Lock()
        self._control: AuditSocket | None = None
        self._socket: AuditSocket | None = None
        self._before: Status | None = None
        self._registered = False
        self._added: list[bytes] = []
        self._refused: dict[str, str] = {}
        self._sent = dict.fromkeys((cls.kind for cls in _KINDS), 0)
        self._clipped = dict.fromkeys((cls.kind for cls in _KINDS), 0)
        self._lost = 0
        self._assembler = Assembler()
        self._serials = Serials()
        self._started_ns = 0
        self._translator: Translator | None = None
        self._swept_ns = 0

    @property
    def missing_fields(self) -> Mapping[str, str]:
        return {**MISSING_FIELDS, **self._refused}

    @property
    def late_fields(self) -> Mapping[str, str]:
        """Fields that are read from /proc after the event, and what they are when that is too late."""
        return LATE_FIELDS

    def start(self) -> None:
        """Load the rules and switch auditing on. Raises SensorError (not allowed, locked, no audit in this kernel)."""
        self._control = AuditSocket()
        self._before = before = self._control.status()
        if before.enabled == LOCKED:
            raise SensorError("the audit configuration is locked until the next boot (auditctl -e 2)")
        remove_rules(self._control)
        others = before.pid not in (0, os.getpid()) and Path(f"/proc/{before.pid}").exists()
        self._socket = AuditSocket(multicast=others)
        offset = procfs.boot_offset_ns()
        processes = Processes(boot_offset_ns=offset, started_ns=time.time_ns())
        self._translator = Translator(processes, own_pid=os.getpid())
        self._swept_ns = time.time_ns()
        self._started_ns = time.clock_gettime_ns(_COARSE_CLOCK)
        self._control.set_status(backlog_limit=max(BACKLOG, before.backlog_limit), backlog_wait_time=0)
        if not others:
            self._socket.set_status(pid=os.getpid())
            self._registered = True
        for rule in watch_rules(architectures()):
            self._add(rule, "processes and connections")
        for path in self._watched:
            for rule in file_rules([path]):
                self._add(rule, path, optional=True)
        if not before.enabled:
            self._control.set_status(enabled=1)

    def _add(self, rule: Rule, what: str, *, optional: bool = False) -> None:
        assert self._control is not None
        packed = rule.pack(os.getpid())
        try:
            self._control.add_rule(packed)
        except OSError as error:
            if error.errno == errno.EEXIST:
                return
            if not optional:
                raise SensorError(f"the kernel refuses the audit rule for {what}: {error.strerror}") from error
            self._refused[f"open:{what}"] = f"the kernel refuses to watch it: {error.strerror}"
            return
        self._added.append(packed)

    def poll(self, timeout_ms: int) -> list[Record]:
        """Hand out records; see the protocol. A batch is made of up to `BATCH` messages."""
        if self._socket is None or self._translator is None:
            raise SensorError("the audit backend is not started")
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            try:
                messages = self._socket.messages(BATCH)
            except OSError as error:
                raise SensorError(f"the audit socket broke down: {error.strerror}") from error
            out: list[Record] = []
            for event in in_time(self._events(messages), time.clock_gettime_ns(_COARSE_CLOCK)):
                out.extend(self._records(event))
            now = time.time_ns()
            if now - self._swept_ns > _SWEEP_NS and len(messages) < BATCH:
                self._swept_ns = now
                out.extend(self._counted(self._translator.ended_unseen(now)))
            left = deadline - time.monotonic()
            if out or (left <= 0 and not messages):  # a batch may end within an event: nothing yet, but more to read
                return out
            if not messages:
                select.select([self._socket.fileno()], [], [], min(left, _SWEEP_NS / 1e9))

    def _events(self, messages: list[tuple[int, bytes]]) -> list[AuditEvent]:
        out: list[AuditEvent] = []
        now, last = time.monotonic(), -1
        for kind, text in messages:
            message = parse(kind, text) if kind in WANTED else None
            stamp = (message.time_ns, message.serial) if message is not None else stamp_of(text)
            if stamp is None:
                continue
            if stamp[1] != last and stamp[0] >= self._started_ns:
                # what the kernel kept for a daemon from before our time would begin the count too early
                last, self._started_ns = stamp[1], 0
                self._serials.take(last, now)
            if message is not None:
                out.extend(self._assembler.add(message))
        if len(messages) < BATCH:  # else a message that is missed may lie behind these
            self._serials.settle(now)
        return out

    def _records(self, event: AuditEvent) -> list[Record]:
        assert self._translator is not None
        return self._counted(self._translator.translate(event))

    def _counted(self, records: list[Record]) -> list[Record]:
        for record in records:
            self._sent[record.kind] += 1
            self._clipped[record.kind] += record.clipped
        return records

    def counters(self) -> Mapping[str, KindCounters]:
        """Counters by kind. The kernel counts losses as messages of no known kind: they stand under `audit`, and so
        do events that lost their end, and overruns of the socket (each at least one message). Events of which nothing
        came at all are `audit_gaps`, whether or not the kernel counted their messages: one loss may be in both."""
        with self._lock:
            if self._control is not None and self._before is not None:
                with contextlib.suppress(SensorError):
                    self._lost = (self._control.status().lost - self._before.lost) & 0xFFFFFFFF
        lost = self._lost + (self._socket.overruns if self._socket else 0) + self._assembler.incomplete
        out = {
            kind: KindCounters(seen=sent, sent=sent, clipped=self._clipped[kind]) for kind, sent in self._sent.items()
        }
        gaps = self._serials.lost
        return {**out, MESSAGES: KindCounters(seen=lost, lost=lost), GAPS: KindCounters(seen=gaps, lost=gaps)}

    def know(self, key: tuple[int, ...]) -> None:
        return None

    def close(self) -> None:
        """Delete our rules and give the status back; what cannot be given back is left as it is."""
        with self._lock:
            control, before = self._control, self._before
            self._control = None
        if control is not None:
            with contextlib.suppress(SensorError, OSError):
                for packed in self._added:
                    with contextlib.suppress(FileNotFoundError):
                        control.delete_rule(packed)
                if before is not None:
                    if self._registered and self._socket is not None:
                        self._socket.set_status(pid=0)
                    control.set_status(
                        enabled=None if control.rules() else before.enabled,  # somebody else needs it now
                        backlog_limit=before.backlog_limit,
                        backlog_wait_time=before.backlog_wait_time,
                    )
            control.close()
        if self._socket is not None:
            self._socket.close()
        self._socket, self._registered, self._added = None, False, []


def remove_rules(control: AuditSocket) -> int:
    """Delete the rules of this process, and of processes like it that are gone without a word; give their number."""
    count = 0
    for packed in control.rules():
        owner = owner_of(packed)
        if owner and (owner == os.getpid() or not Path(f"/proc/{owner}").exists()):
            control.delete_rule(packed)
            count += 1
    return count
