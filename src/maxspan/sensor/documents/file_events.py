"""Events of `endpoint.events.file`: creation, modification, rename and deletion of watched files."""

from __future__ import annotations

import stat
from typing import Any, Final

from msgspec.json import encode

from maxspan.sensor.documents.envelope import FILE, Envelope
from maxspan.sensor.documents.process_events import ProcessEvents
from maxspan.sensor.process import Process
from maxspan.sensor.records import FileOpen, FilePath, Operation

_TYPES: Final = {stat.S_IFREG: "file", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFLNK: "symlink"}
#: What a change of names is: the action, and what comes to be or goes.
_OPERATIONS: Final[dict[Operation, tuple[str, str]]] = {
    "rename": ("rename", ""),
    "unlink": ("deletion", ""),
    "rmdir": ("deletion", "dir"),
    "link": ("creation", ""),
    "symlink": ("creation", "symlink"),
    "mkdir": ("creation", "dir"),
    "mknod": ("creation", ""),
    "truncate": ("modification", ""),
}


class FileEvents:
    """Writes events about files."""

    def __init__(self, envelope: Envelope, processes: ProcessEvents) -> None:
        self._envelope = envelope
        self._processes = processes
        self._actions = {
            "creation": envelope.action("creation", "file", "creation", FILE),
            "modification": envelope.action("modification", "file", "change", FILE),
            "rename": envelope.action("rename", "file", "change", FILE),
            "deletion": envelope.action("deletion", "file", "deletion", FILE),
        }

    def opened(self, record: FileOpen, process: Process) -> bytes:
        """Write that a file was created, or opened for writing: what is written then is not seen."""
        told = named(record.path)
        image = record.image
        if image.inode:
            told["inode"] = str(image.inode)
        if image.mode:  # a backend may know the inode alone
            told |= {"size": image.size, "mode": f"{stat.S_IMODE(image.mode):04o}"}
            told["type"] = _TYPES.get(stat.S_IFMT(image.mode), "file")
        return self._document("creation" if record.created else "modification", record, process, told)

    def changed(self, record: FilePath, process: Process) -> bytes:
        action, kind = _OPERATIONS[record.operation]
        told = named(record.path)
        if kind:
            told["type"] = kind
        if record.operation == "symlink":
            told["target_path"] = record.source
        elif record.source:
            told["Ext"] = {"original": named(record.source)}
        return self._document(action, record, process, told)

    def _document(self, action: str, record: FileOpen | FilePath, process: Process, told: dict[str, Any]) -> bytes:
        if record.clipped:
            told.setdefault("Ext", {})["path_truncated"] = True
        begin = self._envelope.begin(record.time_ns, self._actions[action])
        subject = self._processes.subject(process, record.tid, record.comm or process.comm)
        return b'%b,"file":%b%b' % (begin, encode(told), subject)


def named(path: str) -> dict[str, Any]:
    """Give path, name and extension of a file; a name that begins with its only dot has no extension."""
    folder, _, name = path.rpartition("/")
    told: dict[str, Any] = {"path": path, "name": name, "directory": folder or "/"}
    stem, dot, extension = name.rpartition(".")
    if dot and stem and extension:
        told["extension"] = extension
    return told
