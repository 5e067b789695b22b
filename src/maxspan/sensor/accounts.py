"""Names of users and groups, and the parts of events that say who runs a process."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec.json import encode

from maxspan.sensor.records import Ids

PASSWD: Final = Path("/etc/passwd")
GROUP: Final = Path("/etc/group")
_MEMORY: Final = 4096


class Accounts:
    """Names by number, from `/etc/passwd` and `/etc/group` alone: a directory service could make every event wait.

    `renew` reads the files again when they have changed. Numbers without a name have no `name` in events.
    """

    def __init__(self, passwd: Path = PASSWD, group: Path = GROUP) -> None:
        self._files = (passwd, group)
        self._stamps: tuple[tuple[int, int], ...] = ()
        self.users: dict[int, str] = {}
        self.groups: dict[int, str] = {}
        self._process: dict[tuple[int, ...], bytes] = {}
        self._top: dict[tuple[int, ...], bytes] = {}
        self.renew()

    def renew(self) -> None:
        stamps = tuple(_stamp(path) for path in self._files)
        if stamps == self._stamps:
            return
        self._stamps = stamps
        self.users, self.groups = (_names(path) for path in self._files)
        self._process.clear()
        self._top.clear()

    def process_part(self, ids: Ids) -> bytes:
        """Give `"user":{...},"group":{...},"real_user":...,"real_group":...,"interactive":...` and the terminal."""
        key = (ids.euid, ids.egid, ids.uid, ids.gid, ids.tty)
        part = self._process.get(key)
        if part is None:
            if len(self._process) >= _MEMORY:
                self._process.clear()
            part = b'"user":%b,"group":%b,"real_user":%b,"real_group":%b,"interactive":%b' % (
                self._user(ids.euid),
                self._group(ids.egid),
                self._user(ids.uid),
                self._group(ids.gid),
                b"true" if ids.tty else b"false",
            )
            if ids.tty:
                part += b',"tty":{"char_device":{"major":%d,"minor":%d}}' % (ids.tty >> 20, ids.tty & 0xFFFFF)
            self._process[key] = part
        return part

    def top_part(self, ids: Ids) -> bytes:
        """Give the top-level `,"user":{...},"group":{...}` with the real ones under `Ext`."""
        key = (ids.euid, ids.egid, ids.uid, ids.gid)
        part = self._top.get(key)
        if part is None:
            if len(self._top) >= _MEMORY:
                self._top.clear()
            part = self._top[key] = b',"user":%b,"Ext":{"real":%b}},"group":%b,"Ext":{"real":%b}}' % (
                self._user(ids.euid)[:-1],
                self._user(ids.uid),
                self._group(ids.egid)[:-1],
                self._group(ids.gid),
            )
        return part

    def _user(self, number: int) -> bytes:
        return _named(number, self.users)

    def _group(self, number: int) -> bytes:
        return _named(number, self.groups)


def _named(number: int, names: dict[int, str]) -> bytes:
    name = names.get(number)
    return b'{"id":"%d"}' % number if name is None else b'{"id":"%d","name":%b}' % (number, encode(name))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_ino


def _names(path: Path) -> dict[int, str]:
    """Read `name:password:number:...` lines; the first name of a number counts."""
    names: dict[int, str] = {}
    try:
        lines = path.read_bytes().decode("utf-8", "backslashreplace").splitlines()
    except OSError:
        return names
    for line in lines:
        fields = line.split(":")
        if len(fields) > 2 and fields[2].isascii() and fields[2].isdigit():
            names.setdefault(int(fields[2]), fields[0])
    return names
