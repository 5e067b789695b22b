"""Messages with the same serial become one event, which is complete when its end-of-event message comes.

Messages of different events interleave. An event whose end never comes (the kernel lost it) is given out, marked, when
it is older than those that came to an end by `PATIENCE` events.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from maxspan.sensor.audit.message import CWD, EOE, EXECVE, PATH, SOCKADDR, SYSCALL, Message
from maxspan.sensor.audit.rules import is_accept

PATIENCE: Final = 512


class AuditEvent(Struct, gc=False):
    """All messages of one system call. `complete` is False when the end was lost: parts may be missing."""

    time_ns: int
    serial: int
    syscall: dict[str, bytes] = {}
    paths: list[dict[str, bytes]] = []
    arguments: list[dict[str, bytes]] = []
    cwd: bytes = b""
    address: bytes = b""
    complete: bool = True


class Assembler:
    """Feed it messages in order of arrival; it gives events in order of their end."""

    def __init__(self) -> None:
        self._open: dict[int, AuditEvent] = {}
        #: Events without a SYSCALL message: changes of the configuration, or the message was lost.
        self.unusable = 0
        #: Events of which something was lost: the end, or the call itself (its arguments, paths or end came alone).
        self.incomplete = 0
        self._begun = False

    def add(self, message: Message) -> list[AuditEvent]:
        """Take a message in; give the events that it completes."""
        if message.type == EOE:
            event = self._open.pop(message.serial, None)
            if event is None:
                self.incomplete += self._begun
            else:
                self._begun = True  # before the first whole event, ends may come of what was not asked for yet
            return [*self._overdue(message.serial), *self._usable(event)]
        event = self._open.get(message.serial)
        if event is None:
            event = self._open[message.serial] = AuditEvent(message.time_ns, message.serial, {}, [], [])
        match message.type:
            case 1300:  # SYSCALL
                event.syscall = message.fields
            case 1302:  # PATH
                event.paths.append(message.fields)
            case 1309:  # EXECVE
                event.arguments.append(message.fields)
            case 1307:  # CWD
                event.cwd = message.fields.get("cwd", b"")
            case 1306:  # SOCKADDR
                event.address = message.fields.get("saddr", b"")
        return []

    def flush(self) -> list[AuditEvent]:
        """Give out what is still open, as incomplete."""
        return self._overdue(max(self._open, default=0) + PATIENCE + 1)

    def _overdue(self, serial: int) -> list[AuditEvent]:
        out: list[AuditEvent] = []
        while self._open and (oldest := next(iter(self._open))) < serial - PATIENCE:
            event = self._open.pop(oldest)
            event.complete = False
            self.incomplete += 1
            out.extend(self._usable(event))
        return out

    def _usable(self, event: AuditEvent | None) -> list[AuditEvent]:
        if event is None or not event.syscall:
            if event is not None:
                self.unusable += 1
                self.incomplete += event.complete and bool(event.arguments or event.paths)
            return []
        return [event]


def in_time(events: list[AuditEvent], now_ns: int) -> list[AuditEvent]:
    """Give the events of a batch with the time at which an accept returned, not at which it began to wait.

    Audit tells when a system call was entered; a server may have waited for its client for hours by then. An accept
    gets the time of the next event, or `now_ns` (the clock of audit, after the batch was read) when it is the last.
    """
    following = now_ns
    for event in reversed(events):
        if is_accept(event.syscall):
            event.time_ns = max(event.time_ns, following)
        else:
            following = min(following, event.time_ns)
    return events


assert (SYSCALL, PATH, EXECVE, CWD, SOCKADDR) == (1300, 1302, 1309, 1307, 1306)
