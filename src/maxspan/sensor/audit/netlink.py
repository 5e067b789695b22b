"""The netlink socket of the audit subsystem: its status, its rules, and the messages that it sends.

Source: uapi/linux/audit.h and kernel/audit.c. Numbers are in the byte order of the host.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from maxspan.errors import SensorError

NETLINK_AUDIT: Final = 9
READLOG_GROUP: Final = 1 << 0

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK = 1, 4

GET, SET = 1000, 1001
ADD_RULE, DEL_RULE, LIST_RULES = 1011, 1012, 1013

MASK_ENABLED, MASK_PID, MASK_BACKLOG_LIMIT, MASK_WAIT_TIME = 0x01, 0x04, 0x10, 0x20
LOCKED: Final = 2

_HEADER: Final = struct.Struct("=IHHII")
_STATUS: Final = struct.Struct("=11I")
_ERROR: Final = struct.Struct("=i")
#: Largest message: audit's own limit is 8970 bytes of text; a list of rules is sent rule by rule.
_RECEIVE_BYTES: Final = 16384
_REPLY_SECONDS: Final = 5.0
_BUFFER_BYTES: Final = 32 * 1024 * 1024

NOT_ALLOWED: Final = (
    "the audit subsystem refuses: run as root in the host's own namespaces, "
    "or with CAP_AUDIT_CONTROL and CAP_AUDIT_READ"
)


class Status(Struct, frozen=True):
    """What AUDIT_GET tells. `pid` is the audit daemon's, 0 without one; `lost` counts messages since boot, modulo
    2**32; `backlog_wait_time` is in jiffies: how long a system call waits when the backlog is full."""

    enabled: int
    failure: int
    pid: int
    backlog_limit: int
    lost: int
    backlog: int
    backlog_wait_time: int


class AuditSocket:
    """One socket for requests and, when it is registered or in the multicast group, for messages too."""

    def __init__(self, *, multicast: bool = False) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_AUDIT)
        except OSError as error:
            raise SensorError(f"this kernel has no audit subsystem: {error.strerror}") from error
        try:
            self._socket.bind((0, READLOG_GROUP if multicast else 0))
        except OSError as error:
            self._socket.close()
            raise SensorError(NOT_ALLOWED) from error
        self._widen()
        self._sequence = 0
        #: Messages that came in while an answer was waited for; `messages` gives them first.
        self._waiting: list[tuple[int, bytes]] = []
        #: How often the kernel reported that messages did not fit into this socket's buffer.
        self.overruns = 0

    def _widen(self) -> None:
        force = getattr(socket, "SO_RCVBUFFORCE", 33)
        for option in (force, socket.SO_RCVBUF):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
                return
            except PermissionError:
                continue

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    # --- requests ----------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        for data in self._ask(GET, b"", wanted=GET):
            values = _STATUS.unpack(data[: _STATUS.size].ljust(_STATUS.size, b"\0"))
            return Status(
                enabled=values[1],
                failure=values[2],
                pid=values[3],
                backlog_limit=values[5],
                lost=values[6],
                backlog=values[7],
                backlog_wait_time=values[9],
            )
        raise SensorError("the audit subsystem does not tell its status")

    def set_status(
        self,
        *,
        enabled: int | None = None,
        pid: int | None = None,
        backlog_limit: int | None = None,
        backlog_wait_time: int | None = None,
    ) -> None:
        """Change what is given and leave the rest. Raises SensorError when the kernel refuses."""
        mask = 0
        for bit, value in (
            (MASK_ENABLED, enabled),
            (MASK_PID, pid),
            (MASK_BACKLOG_LIMIT, backlog_limit),
            (MASK_WAIT_TIME, backlog_wait_time),
        ):
            mask |= bit if value is not None else 0
        values = (mask, enabled or 0, 0, pid or 0, 0, backlog_limit or 0, 0, 0, 0, backlog_wait_time or 0, 0)
        for _ in self._ask(SET, _STATUS.pack(*values)):
            pass

    def add_rule(self, rule: bytes) -> None:
        """Add a rule (`rules.Rule.pack`); raises OSError with the kernel's errno (EEXIST: it is there already)."""
        self._change(ADD_RULE, rule)

    def delete_rule(self, rule: bytes) -> None:
        """Delete a rule by its content, as listed; raises OSError (ENOENT: there is no such rule)."""
        self._change(DEL_RULE, rule)

    def rules(self) -> list[bytes]:
        """Every rule that is loaded, also those of others, as the kernel packs them."""
        return list(self._ask(LIST_RULES, b"", wanted=LIST_RULES))

    def _change(self, kind: int, rule: bytes) -> None:
        for _ in self._ask(kind, rule):
            pass

    def _ask(self, kind: int, data: bytes, *, wanted: int = 0) -> Iterator[bytes]:
        """Send a request; give the answers of type `wanted`, until the kernel says that it is done.

        Without `wanted` only the acknowledgement is waited for. Raises OSError with the kernel's errno for changes of
        rules, SensorError for everything else that fails."""
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(data), kind, NLM_F_REQUEST | NLM_F_ACK, self._sequence, 0)
        self._socket.settimeout(_REPLY_SECONDS)
        acknowledged = found = False
        try:
            self._socket.send(header + data)
            while not (acknowledged and (found or not wanted)):
                type_, sequence, body = self._receive()
                if sequence != self._sequence or type_ not in (NLMSG_ERROR, NLMSG_DONE, wanted):
                    self._waiting.append((type_, body))
                elif type_ == NLMSG_ERROR:
                    code = -_ERROR.unpack_from(body)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    acknowledged = True
                elif type_ == NLMSG_DONE:
                    return
                else:
                    found = wanted != LIST_RULES
                    yield body
        except TimeoutError as error:
            raise SensorError("the audit subsystem does not answer") from error
        except OSError as error:
            if kind in (ADD_RULE, DEL_RULE):
                raise
            denied = error.errno in (errno.EPERM, errno.EACCES, errno.ECONNREFUSED)
            raise SensorError(NOT_ALLOWED if denied else f"the audit subsystem: {error.strerror}") from error

    # --- messages ----------------------------------------------------------------------------------------------------

    def _receive(self) -> tuple[int, int, bytes]:
        data = self._socket.recv(_RECEIVE_BYTES)
        _, kind, _, sequence, _ = _HEADER.unpack_from(data)
        return kind, sequence, data[_HEADER.size :]

    def messages(self, limit: int) -> list[tuple[int, bytes]]:
        """Hand out up to `limit` messages that are there: type and text. Does not wait."""
        out, self._waiting = self._waiting[:limit], self._waiting[limit:]
        self._socket.setblocking(False)
        receive, unpack = self._socket.recv, _HEADER.unpack_from
        append = out.append
        with contextlib.suppress(BlockingIOError):
            while len(out) < limit:
                try:
                    data = receive(_RECEIVE_BYTES)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    self.overruns += 1
                    continue
                append((unpack(data)[1], data[16:]))
        return out
