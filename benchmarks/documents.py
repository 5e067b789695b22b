"""Hosts, processes and the ECS documents that Elastic Defend writes about them.

What never changes (host, agent, a process seen as a parent) is encoded once and put into every document as it is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import msgspec

from benchmarks.programs import Program, Role
from benchmarks.values import USERS, Values

encode: Final = msgspec.json.Encoder().encode
Document = dict[str, Any]
#: 2026-03-02T08:00:00Z in microseconds; the events of every set begin here.
EPOCH_US: Final = 1_772_438_400_000_000
_ECS = msgspec.Raw(encode({"version": "8.10.0"}))
_STREAMS = {
    kind: msgspec.Raw(encode({"namespace": "default", "type": "logs", "dataset": f"endpoint.events.{kind}"}))
    for kind in ("process", "network", "file")
}
_TYPES = {
    "fork": "start",
    "exec": "start",
    "end": "end",
    "connection_attempted": "start",
    "connection_accepted": "start",
    "disconnect_received": "end",
    "creation": "creation",
    "deletion": "deletion",
    "rename": "change",
}


class Clock:
    """Writes microseconds since 1970 as ISO text; the date part of a second is made once."""

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def __call__(self, us: int) -> str:
        second, fraction = divmod(us, 1_000_000)
        if second != self._second:
            days, rest = divmod(second - EPOCH_US // 1_000_000 + 8 * 3600, 86_400)
            self._second = second
            self._prefix = f"2026-03-{2 + days:02d}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
        return f"{self._prefix}.{fraction:06d}Z"


@dataclass(slots=True)
class Process:
    """A process: `image` are the fields that an exec replaces, already encoded where documents repeat them."""

    pid: int
    entity_id: str
    name: str
    executable: str
    args: list[str]
    folder: str
    user: tuple[str, str]
    parent: Process | None
    ancestry: tuple[str, ...]
    interactive: bool
    entry: msgspec.Raw
    whole: Document = field(default_factory=dict)
    as_parent: msgspec.Raw = field(default_factory=msgspec.Raw)
    short: msgspec.Raw = field(default_factory=msgspec.Raw)

    def encode(self) -> None:
        """Make the encoded forms anew; call it whenever the image changes."""
        user_id, user_name = self.user
        whole: Document = {
            "pid": self.pid,
            "entity_id": self.entity_id,
            "name": self.name,
            "executable": self.executable,
            "command_line": " ".join(self.args),
            "args": self.args,
            "args_count": len(self.args),
            "working_directory": self.folder,
            "interactive": self.interactive,
            "user": {"id": user_id, "name": user_name},
            "group": {"id": user_id, "name": user_name},
            "real_user": {"id": user_id, "name": user_name},
            "real_group": {"id": user_id, "name": user_name},
        }
        self.as_parent = msgspec.Raw(encode(whole))
        self.whole = {
            **whole,
            "Ext": {"ancestry": self.ancestry},
            "entry_leader": self.entry,
            "parent": self.parent.as_parent if self.parent else None,
        }
        if self.parent is None:
            del self.whole["parent"]
        short = {
            "Ext": {"ancestry": self.ancestry},
            "pid": self.pid,
            "entity_id": self.entity_id,
            "name": self.name,
            "executable": self.executable,
            "parent": {"entity_id": self.ancestry[0] if self.ancestry else ""},
        }
        self.short = msgspec.Raw(encode(short))


class Host:
    """One machine: its constant fields, its daemons and the processes that may be parents now."""

    def __init__(self, number: int, role: Role, random_: random.Random, values: Values) -> None:
        self.role = role
        self.values = values
        self.random = random_
        self.sequence = count(1)
        self.pids = count(random_.randrange(700, 4_000))
        name = f"{role.name}-{number:02d}"
        host_id = f"{random_.getrandbits(128):032x}"
        self.name = name
        self.ip = f"10.20.{number // 250}.{number % 250 + 1}"
        self.document = msgspec.Raw(
            encode(
                {
                    "hostname": name,
                    "name": name,
                    "id": host_id,
                    "architecture": "x86_64",
                    "ip": ["127.0.0.1", "::1", self.ip],
                    "mac": [f"02-42-ac-11-00-{number % 256:02x}"],
                    "os": {
                        "type": "linux",
                        "name": "Linux",
                        "family": "debian",
                        "platform": "debian",
                        "version": "12.5",
                        "kernel": "6.1.0-18-amd64 #1 SMP",
                        "full": "Debian 12.5",
                        "Ext": {"variant": "Debian"},
                    },
                }
            )
        )
        self.agent = msgspec.Raw(
            encode({"id": f"{random_.getrandbits(128):032x}", "type": "endpoint", "version": "8.17.0"})
        )
        self.daemons = [self._daemon(*daemon) for daemon in role.daemons]
        self.parents: list[Process] = list(self.daemons)
        self.commands: list[tuple[Program, list[str]]] = []

    def _daemon(self, name: str, executable: str) -> Process:
        entity_id = self.values.entity_id()
        entry = msgspec.Raw(
            encode(
                {
                    "entity_id": entity_id,
                    "pid": 1,
                    "name": "systemd",
                    "executable": "/usr/lib/systemd/systemd",
                    "entry_meta": {"type": "init"},
                }
            )
        )
        process = Process(
            next(self.pids), entity_id, name, executable, [executable], "/", USERS[0], None, (), False, entry
        )
        process.encode()
        return process

    def child(self, parent: Process, name: str, executable: str, args: list[str]) -> tuple[Process, Process]:
        """Fork `parent`: give the child as it is after the fork (its parent's image) and after the exec."""
        entity_id, pid = self.values.entity_id(), next(self.pids)
        ancestry = (parent.entity_id, *parent.ancestry[:1])
        folder = parent.folder if self.random.random() < 0.7 else self.values.folder()
        user = parent.user if self.random.random() < 0.9 else self.random.choice(USERS)
        rest = (user, parent, ancestry, parent.interactive, parent.entry)
        forked = Process(pid, entity_id, parent.name, parent.executable, parent.args, parent.folder, *rest)
        executed = Process(pid, entity_id, name, executable, args, folder, *rest)
        forked.encode()
        executed.encode()
        return forked, executed


class Writer:
    """Makes the documents; one `Clock` and one stream of ids for the whole set."""

    def __init__(self, random_: random.Random) -> None:
        self.clock = Clock()
        self._bits = random_.getrandbits

    def _base(self, host: Host, us: int, category: str, action: str, process: Process) -> Document:
        text = self.clock(us)
        user_id, user_name = process.user
        return {
            "@timestamp": text,
            "agent": host.agent,
            "data_stream": _STREAMS[category],
            "ecs": _ECS,
            "event": {
                "sequence": next(host.sequence),
                "created": text,
                "kind": "event",
                "module": "endpoint",
                "action": action,
                "id": f"{self._bits(80):020x}",
                "category": [category],
                "type": [_TYPES[action]],
                "dataset": f"endpoint.events.{category}",
                "outcome": "unknown",
            },
            "host": host.document,
            "message": f"Endpoint {category} event",
            "user": {"id": user_id, "name": user_name, "Ext": {"real": {"id": user_id, "name": user_name}}},
            "group": {"id": user_id, "name": user_name},
        }

    def process(self, host: Host, us: int, action: str, process: Process) -> bytes:
        document = self._base(host, us, "process", action, process)
        document["process"] = {**process.whole, "exit_code": 0} if action == "end" else process.whole
        return encode(document)

    def file(self, host: Host, us: int, action: str, process: Process, path: str, original: str = "") -> bytes:
        document = self._base(host, us, "file", action, process)
        document["process"] = process.short
        document["file"] = about = _file(path)
        if original:
            about["Ext"] = {"original": _file(original)}
        return encode(document)

    def network(self, host: Host, us: int, action: str, process: Process, ip: str, port: int) -> bytes:
        document = self._base(host, us, "network", action, process)
        document["process"] = process.short
        accepted = action == "connection_accepted"
        here = {"ip": host.ip, "port": 32768 + self._bits(14), "address": host.ip}
        there = {"ip": ip, "port": port, "address": ip}
        document["source"], document["destination"] = (there, here) if accepted else (here, there)
        document["network"] = {
            "transport": "tcp",
            "type": "ipv6" if ":" in ip else "ipv4",
            "direction": "ingress" if accepted else "egress",
        }
        return encode(document)


def _file(path: str) -> Document:
    folder, _, name = path.rpartition("/")
    out: Document = {"path": path, "name": name, "directory": folder}
    stem, dot, extension = name.rpartition(".")
    if dot and stem:
        out["extension"] = extension
    return out
