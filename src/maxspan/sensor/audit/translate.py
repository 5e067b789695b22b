"""An audit event becomes records: which process did what, with what /proc still knows about it."""

from __future__ import annotations

import socket
from pathlib import PurePosixPath
from typing import Final

from maxspan.sensor.audit import procfs
from maxspan.sensor.audit.assemble import AuditEvent
from maxspan.sensor.audit.message import number, raw_of, text_of
from maxspan.sensor.audit.processes import Known, Processes
from maxspan.sensor.audit.rules import NAMES, OPENING, SYSCALLS
from maxspan.sensor.records import (
    ARGS_CLIPPED,
    CREATED,
    OWN,
    TRUNCATED,
    UNSURE,
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
    Ids,
    Operation,
    Record,
)

_NAME: Final = {(arch, no): name for arch, calls in SYSCALLS.items() for name, no in calls.items()}
_CLONE_THREAD: Final = 0x10000
_STREAM, _DATAGRAM, _TCP, _UDP = 1, 2, 6, 17
_O_CREAT, _O_TRUNC = 0o100, 0o1000
#: AT_FDCWD as audit prints it, in 32 or 64 bits.
_AT_FDCWD: Final = frozenset({b"ffffff9c", b"ffffffffffffff9c"})
_PTY_MAJOR, _CONSOLE_MAJOR, _SERIAL_BASE = 136, 4, 64
_OPERATIONS: Final[dict[str, Operation]] = {
    "rename": "rename",
    "unlink": "unlink",
    "rmdir": "rmdir",
    "link": "link",
    "symlink": "symlink",
    "mkdir": "mkdir",
    "mknod": "mknod",
    "truncate": "truncate",
}


class Translator:
    """Keeps the table of processes; give it events in order."""

    def __init__(self, processes: Processes, *, own_pid: int) -> None:
        self.processes = processes
        self._own = own_pid
        self._cgroups: dict[str, int] = {}
        #: Events of system calls that are not in the tables, or that could not be used.
        self.ignored = 0

    def translate(self, event: AuditEvent) -> list[Record]:
        """Give the records of an event, oldest first; none for what is of no interest (threads, failed accepts)."""
        call = event.syscall
        name = _NAME.get((number(call.get("arch"), 16), number(call.get("syscall"))))
        if name is None:
            self.ignored += 1
            return []
        pid, parent = number(call.get("pid")), number(call.get("ppid"))
        known, new = self.processes.see(pid, parent, event.time_ns)
        if known is None:
            return []
        out: list[Record] = [self._fork(event, pid, known)] if new else []
        if name in ("execve", "execveat"):
            out.extend(self._exec(event, pid, known))
        elif name in ("clone", "clone3", "fork", "vfork"):
            out.extend(self._child(event, name, pid))
        elif name == "exit_group":
            out.append(self._exit(event, pid, known))
        elif name == "connect":
            out.extend(self._connect(event, pid, known))
        elif name in ("accept", "accept4"):
            out.extend(self._accept(event, pid, known))
        elif name in OPENING:
            out.extend(self._opened(event, name, pid, known))
        else:
            out.extend(self._named(event, _OPERATIONS[NAMES[name]], pid, known))
        return out

    def ended_unseen(self, now_ns: int) -> list[Record]:
        """Give the ends of processes that went without calling exit: by a signal; when, and which, is not known."""
        out: list[Record] = []
        for pid, known in self.processes.gone(now_ns):
            self.processes.end(pid, now_ns)
            out.append(Exit(time_ns=now_ns, pid=pid, start_ns=known.start_ns, flags=UNSURE))
        return out

    # --- processes ---------------------------------------------------------------------------------------------------

    def _fork(self, event: AuditEvent, pid: int, known: Known) -> Fork:
        return Fork(
            time_ns=event.time_ns,
            pid=pid,
            start_ns=known.start_ns,
            flags=self._flags(pid),
            ids=_ids(event.syscall),
            parent_pid=known.parent_pid,
            parent_start_ns=known.parent_start_ns,
            comm=text_of(event.syscall.get("comm", b"")),
        )

    def _child(self, event: AuditEvent, name: str, pid: int) -> list[Record]:
        child = number(event.syscall.get("exit"))
        if child <= 0 or (name == "clone" and number(event.syscall.get("a0"), 16) & _CLONE_THREAD):
            return []
        if procfs.same_pid_namespace(pid) is False or (name == "clone3" and procfs.is_thread(pid, child)):
            return []  # the number is not ours: the child's own first event will tell
        if name == "clone3" and procfs.stat(child) is None and self.processes.get(child) is None:
            return []  # a thread or a process, gone already: a process tells itself when it ends
        known = self.processes.fork(child, pid, event.time_ns)
        return [] if known is None else [self._fork(event, child, known)]

    def _exec(self, event: AuditEvent, pid: int, known: Known) -> list[Record]:
        args, argc, whole = arguments(event.arguments)
        stat = procfs.stat(pid)
        descriptors, image = procfs.descriptors(pid), procfs.image(pid)
        out: list[Record] = []
        path = procfs.cgroup(pid)
        if path and path not in self._cgroups:
            self._cgroups[path] = procfs.cgroup_id(path)
            out.append(Cgroup(time_ns=event.time_ns, pid=pid, cgroup=self._cgroups[path], path=path))
        flags = self._flags(pid) | (0 if whole and event.complete else ARGS_CLIPPED)
        out.append(
            Exec(
                time_ns=event.time_ns,
                pid=pid,
                start_ns=known.start_ns,
                flags=flags,
                ids=_ids(event.syscall, stat),
                parent_pid=known.parent_pid,
                parent_start_ns=known.parent_start_ns,
                cgroup=self._cgroups.get(path, 0),
                comm=text_of(event.syscall.get("comm", b"")),
                executable=text_of(event.syscall.get("exe", b"")).removesuffix(" (deleted)"),
                directory=text_of(event.cwd),
                args=args,
                argc=argc,
                image=image,
                descriptors=descriptors,
            )
        )
        return out

    def _exit(self, event: AuditEvent, pid: int, known: Known) -> Exit:
        self.processes.end(pid, event.time_ns)
        return Exit(
            time_ns=event.time_ns,
            pid=pid,
            start_ns=known.start_ns,
            flags=self._flags(pid),
            ids=_ids(event.syscall),
            exit_code=number(event.syscall.get("a0"), 16) & 0xFF,
            comm=text_of(event.syscall.get("comm", b"")),
        )

    # --- connections -------------------------------------------------------------------------------------------------

    def _connect(self, event: AuditEvent, pid: int, known: Known) -> list[Record]:
        remote = address(raw_of(event.address))
        if remote is None:
            return []
        family, host, port = remote
        result = number(event.syscall.get("exit"))
        found = procfs.flow_of(pid, number(event.syscall.get("a0"), 16))
        flags = self._flags(pid)
        if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
            kind, protocol, local = found.type, found.protocol, (found.local, found.local_port)
            if not protocol:
                protocol = _TCP if kind == _STREAM else _UDP
        else:  # gone already: name look-ups are the datagrams that matter
            datagram = port in (0, 53)
            kind, protocol = (_DATAGRAM, _UDP) if datagram else (_STREAM, _TCP)
            local, flags = ("", 0), flags | UNSURE
        flow = procfs.flow(family, kind, protocol, 0, local, (host, port))
        if kind == _DATAGRAM:
            wanted: list[type[Connect] | type[Connected] | type[Datagram]] = [Datagram] if result == 0 and port else []
        else:
            wanted = [Connect, Connected] if result == 0 else [Connect]
        return [
            cls(
                time_ns=event.time_ns,
                pid=pid,
                start_ns=known.start_ns,
                flags=flags,
                ids=_ids(event.syscall),
                flow=flow,
                comm=text_of(event.syscall.get("comm", b"")),
            )
            for cls in wanted
        ]

    def _accept(self, event: AuditEvent, pid: int, known: Known) -> list[Record]:
        flow = procfs.flow_of(pid, number(event.syscall.get("exit")))
        flags = self._flags(pid)
        if flow is None:
            remote = address(raw_of(event.address))
            if remote is None:
                return []
            flow = procfs.flow(remote[0], _STREAM, _TCP, 0, ("", 0), (remote[1], remote[2]))
            flags |= UNSURE
        if flow.family not in (socket.AF_INET, socket.AF_INET6):
            return []
        return [
            Accept(
                time_ns=event.time_ns,
                pid=pid,
                start_ns=known.start_ns,
                flags=flags,
                ids=_ids(event.syscall),
                flow=flow,
                role="server",
                comm=text_of(event.syscall.get("comm", b"")),
            )
        ]

    # --- files -------------------------------------------------------------------------------------------------------

    def _opened(self, event: AuditEvent, name: str, pid: int, known: Known) -> list[Record]:
        made = next((path for path in event.paths if path.get("nametype") == b"CREATE"), None)
        found = made or next((path for path in reversed(event.paths) if path.get("nametype") == b"NORMAL"), None)
        if found is None or event.syscall.get("success") != b"yes":
            return []
        options = {"creat": _O_CREAT | _O_TRUNC, "open": number(event.syscall.get("a1"), 16), "openat2": 0}
        given = options.get(name, number(event.syscall.get("a2"), 16))
        folder = event.syscall.get("a0", b"") if name.startswith("openat") else b""
        path, sure = self._path(event, pid, found, folder)
        flags = self._flags(pid) | (CREATED if made else 0) | (0 if sure else UNSURE)
        flags |= TRUNCATED if given & _O_TRUNC and not made else 0
        return [
            FileOpen(
                time_ns=event.time_ns,
                pid=pid,
                start_ns=known.start_ns,
                flags=flags,
                ids=_ids(event.syscall),
                path=path,
                comm=text_of(event.syscall.get("comm", b"")),
            )
        ]

    def _named(self, event: AuditEvent, operation: Operation, pid: int, known: Known) -> list[Record]:
        if event.syscall.get("success") != b"yes":
            return []
        kinds: dict[bytes, dict[str, bytes]] = {}
        for item in event.paths:
            if item.get("nametype") != b"PARENT":
                kinds[item.get("nametype", b"")] = item  # of two, the last: what came to be
        gone, made, old = (kinds.get(kind) for kind in (b"DELETE", b"CREATE", b"NORMAL"))
        subject = gone if operation in ("unlink", "rmdir") else old if operation == "truncate" else made
        if subject is None:
            return []
        first, second = _folders(event.syscall, operation)
        path, sure = self._path(event, pid, subject, second)
        other = gone if operation == "rename" else old if operation == "link" else None
        source = self._path(event, pid, other, first)[0] if other is not None else ""
        return [
            FilePath(
                time_ns=event.time_ns,
                pid=pid,
                start_ns=known.start_ns,
                flags=self._flags(pid) | (0 if sure else UNSURE),
                ids=_ids(event.syscall),
                operation=operation,
                path=path,
                source=source,
                comm=text_of(event.syscall.get("comm", b"")),
            )
        ]

    def _path(self, event: AuditEvent, pid: int, found: dict[str, bytes], folder: bytes) -> tuple[str, bool]:
        """Make a path absolute: give it, and whether the folder that it is relative to was known for sure."""
        name = text_of(found.get("name", b""))
        if name.startswith("/"):
            return _plain(name), ".." not in name
        if not folder or folder in _AT_FDCWD:
            return _plain(f"{text_of(event.cwd)}/{name}"), ".." not in name
        base = procfs.link(f"/proc/{pid}/fd/{number(folder, 16)}")
        return (_plain(f"{base}/{name}"), False) if base.startswith("/") else (name, False)

    def _flags(self, pid: int) -> int:
        return OWN if pid == self._own else 0


def _folders(call: dict[str, bytes], operation: Operation) -> tuple[bytes, bytes]:
    """Give the descriptors of the folders that the old and the new name are relative to; empty for the working one."""
    name = _NAME[number(call.get("arch"), 16), number(call.get("syscall"))]
    if not name.endswith(("at", "at2")):
        return b"", b""
    first = call.get("a0", b"")
    if operation in ("rename", "link"):
        return first, call.get("a2", b"")
    return b"", call.get("a1", b"") if operation == "symlink" else first


def arguments(parts: list[dict[str, bytes]]) -> tuple[list[str], int, bool]:
    """Put the arguments of EXECVE messages together: give them, their count, and whether all are there.

    A long list is told in several messages, a long argument in pieces (`a1_len`, `a1[0]`, `a1[1]`)."""
    fields: dict[str, bytes] = {}
    for part in parts:
        fields.update(part)
    argc = number(fields.get("argc"))
    out: list[str] = []
    for position in range(argc):
        name = f"a{position}"
        if name in fields:
            out.append(text_of(fields[name]))
            continue
        pieces: list[bytes] = []
        while f"{name}[{len(pieces)}]" in fields:
            pieces.append(raw_of(fields[f"{name}[{len(pieces)}]"]))
        if not pieces:
            return out, argc, False
        wanted = number(fields.get(f"{name}_len"))
        data = b"".join(pieces)
        out.append(data.decode("utf-8", "backslashreplace"))
        # the length is that of the text as the kernel wrote it: hexadecimal digits are two a byte
        if len(data) < wanted and 2 * len(data) < wanted:
            return out, argc, False
    return out, argc, argc > 0


def address(data: bytes) -> tuple[int, str, int] | None:
    """Read a socket address (struct sockaddr): family, host, port; None for what is neither IPv4 nor IPv6."""
    if len(data) < 2:
        return None
    family = int.from_bytes(data[:2], "little")
    if family == socket.AF_INET and len(data) >= 8:
        return family, socket.inet_ntop(socket.AF_INET, data[4:8]), int.from_bytes(data[2:4], "big")
    if family == socket.AF_INET6 and len(data) >= 24:
        return family, socket.inet_ntop(socket.AF_INET6, data[8:24]), int.from_bytes(data[2:4], "big")
    return None


def _plain(path: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath("/", path).parts[1:]:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "/" + "/".join(parts)


def _ids(call: dict[str, bytes], stat: procfs.Stat | None = None) -> Ids:
    session, group = (stat.session, stat.group) if stat else (0, 0)
    return Ids(
        uid=number(call.get("uid")),
        euid=number(call.get("euid")),
        gid=number(call.get("gid")),
        egid=number(call.get("egid")),
        session=session,
        group=group,
        tty=stat.tty if stat else terminal(text_of(call.get("tty", b""))),
    )


def terminal(name: str) -> int:
    """Device number (`major << 20 | minor`) of a terminal by its name in audit messages; 0 for none."""
    digits = name.lstrip("abcdefghijklmnopqrstuvwxyzS")
    if not digits.isdigit():
        return 0
    line = int(digits)
    if name.startswith("pts"):
        return (_PTY_MAJOR + (line >> 8)) << 20 | (line & 0xFF)
    if name.startswith("ttyS"):
        return _CONSOLE_MAJOR << 20 | (_SERIAL_BASE + line)
    return _CONSOLE_MAJOR << 20 | line if name.startswith("tty") else 0
