"""A made-up host: a table and an encoder without /proc, and records as the kernel side would send them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maxspan.sensor.accounts import Accounts
from maxspan.sensor.encoder import CONNECTIONS, Encoder
from maxspan.sensor.entity import TICK_NS, EntityIds
from maxspan.sensor.machine import Machine
from maxspan.sensor.processes import ProcessTable
from maxspan.sensor.procfs import Running
from maxspan.sensor.records import Exec, Exit, Fork, Ids, Record

EPOCH_NS = 1_700_000_000_000_000_000
OFFSET_NS = EPOCH_NS
MACHINE = Machine(
    machine_id="0123456789abcdef0123456789abcdef",
    boot_id="11111111-2222-3333-4444-555555555555",
    hostname="victim",
    architecture="x86_64",
    os={"type": "linux", "name": "Debian GNU/Linux"},
    addresses=("192.0.2.2",),
)
ROOT = Ids(session=10, group=10)


def start_of(ticks: int) -> int:
    return ticks * TICK_NS + 1234


def at(milliseconds: float) -> int:
    return EPOCH_NS + int(milliseconds * 1_000_000)


def fork(pid: int, ticks: int, parent: int = 0, parent_ticks: int = 0, ids: Ids = ROOT, **more: Any) -> Fork:
    more.setdefault("time_ns", at(ticks * 10))
    return Fork(
        pid=pid,
        tid=pid,
        start_ns=start_of(ticks),
        parent_pid=parent,
        parent_start_ns=start_of(parent_ticks) if parent_ticks else 0,
        ids=ids,
        **more,
    )


def execute(pid: int, ticks: int, path: str, *args: str, ids: Ids = ROOT, **more: Any) -> Exec:
    more.setdefault("time_ns", at(ticks * 10 + 1))
    more.setdefault("comm", path.rpartition("/")[2][:15])
    more.setdefault("argc", len(args))
    return Exec(
        pid=pid, tid=pid, start_ns=start_of(ticks), ids=ids, executable=path, args=list(args), directory="/srv", **more
    )


def leave(pid: int, ticks: int, code: int = 0, ids: Ids = ROOT, **more: Any) -> Exit:
    more.setdefault("time_ns", at(ticks * 10 + 2))
    return Exit(pid=pid, tid=pid, start_ns=start_of(ticks), exit_code=code, ids=ids, **more)


class Host:
    """Encodes records of a host on which `running` processes are in /proc."""

    def __init__(self, tmp_path: Path | None = None, *, connections: int = CONNECTIONS, **limits: Any) -> None:
        self.running: dict[int, Running] = {}
        passwd, group = Path("/nonexistent"), Path("/nonexistent")
        if tmp_path is not None:
            passwd, group = tmp_path / "passwd", tmp_path / "group"
            passwd.write_text("root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n")
            group.write_text("root:x:0:\nalice:x:1000:\n")
        self.entities = EntityIds(MACHINE.machine_id, MACHINE.boot_id)
        self.table = ProcessTable(
            self.entities,
            Accounts(passwd, group),
            offset_ns=OFFSET_NS,
            read=self.running.get,
            present=lambda: list(self.running),
            **limits,
        )
        self.watched: Callable[[str], bool] = lambda path: path.startswith("/etc/")
        self.encoder = Encoder(MACHINE, self.table, watched=lambda path: self.watched(path), connections=connections)

    def events(self, *records: Record) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.encoder.encode(list(records))]

    def event(self, record: Record) -> dict[str, Any]:
        (event,) = self.events(record)
        return event

    def entity(self, pid: int, ticks: int) -> str:
        return self.entities.of(pid, ticks).decode()


def running(pid: int, ticks: int, parent: int = 0, path: str = "", ids: Ids = ROOT, **more: Any) -> Running:
    more.setdefault("comm", path.rpartition("/")[2][:15] or "unknown")
    args = more.pop("args", [path] if path else [])
    return Running(pid=pid, ticks=ticks, parent_pid=parent, ids=ids, executable=path, args=args, argc=len(args), **more)


def flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            out |= flat(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out
