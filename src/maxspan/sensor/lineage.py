"""Where a process belongs: its container, and the process through which somebody or something entered the system."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

from maxspan.sensor.process import Process

#: A container's id in the path of its control group: docker, containerd, cri-o, podman.
_CONTAINER = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_CGROUPS: Final = 8192

_SSH: Final = frozenset({"sshd", "sshd-session", "dropbear"})
_RUNTIMES: Final = frozenset({"runc", "crun", "conmon", "youki", "docker-init", "containerd-shim"})
_BY_PARENT: Final = {
    "ssm-session-worker": "ssm",
    "ssm-document-worker": "ssm",
    "amazon-ssm-agent": "ssm",
    "teleport": "teleport",
    "kubelet": "kubelet",
}
_CONSOLE_MAJOR, _ALTERNATE_MAJOR, _FIRST_SERIAL = 4, 5, 64


class Containers:
    """Container ids by the number of the control group; bounded, the oldest are forgotten."""

    def __init__(self) -> None:
        self._parts: OrderedDict[int, bytes | None] = OrderedDict()

    def name(self, cgroup: int, path: str) -> None:
        if len(self._parts) >= _CGROUPS:
            self._parts.popitem(last=False)
        self._parts[cgroup] = None if path == "/" else container_part(path)

    def part(self, cgroup: int) -> bytes | None:
        """Give `,"container":{...}`, empty for a group of no container.

        None for a group that is not known, and for the root: where control groups of version 1 hold the containers,
        everything is in the root of version 2."""
        return self._parts.get(cgroup)


def container_part(path: str) -> bytes:
    """Give `,"container":{"id":...}` by the path of a control group; empty where it holds no container's id."""
    found = _CONTAINER.findall(path)
    return b',"container":{"id":"%b"}' % found[-1].encode() if found else b""


def enter(process: Process) -> None:
    """Set the entry leader of a process that was forked, executed something or began a session.

    A leader of a session that was begun by one of the ways into a system (a login, ssh, a service manager, a container
    runtime) is its own entry leader; everything else has that of its parent.
    """
    parent = process.parent
    if process.pid == 1:
        process.entry, process.entry_type = process, "init"
        return
    if process.session is process:
        way = _way(process, parent)
        if way:
            process.entry, process.entry_type = process, way
            return
    if process.entry is process:
        return
    if parent is not None and (parent.entry is not None or parent.ended):
        if parent.entry is not None:
            process.entry = parent.entry
    elif process.session is process:
        process.entry, process.entry_type = process, "unknown"


def _way(process: Process, parent: Process | None) -> str:
    tty = process.ids.tty
    major, minor = tty >> 20, tty & 0xFFFFF
    if major == _CONSOLE_MAJOR and minor < _FIRST_SERIAL:
        return "terminal"
    if major in (_CONSOLE_MAJOR, _ALTERNATE_MAJOR):
        return "console"
    if parent is None:
        return ""
    name = parent.program.name
    if name in _SSH and process.program.name not in _SSH:
        return "sshd"
    if process.container and (process.container != parent.container or name.startswith(tuple(_RUNTIMES))):
        return "container"
    if name in _BY_PARENT:
        return _BY_PARENT[name]
    return "init" if parent.pid == 1 else ""
