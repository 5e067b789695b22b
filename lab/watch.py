"""The real sensor as a user starts it: `maxspan watch` in a process of its own, its alerts read as they are written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from lab.errors import LabError
from lab.janitor import Janitor
from maxspan.sources.document import flatten

ROOT = Path(__file__).resolve().parent.parent
READY = "watching through"
READY_SECONDS = 60.0
END_SECONDS = 30.0
READ_EVERY_SECONDS = 0.02


@dataclass(slots=True)
class Seen:
    """All documents of one alert: a sequence has a building block for each event. `seen` is time.time()."""

    rule: str
    seen: float
    completed: float = 0.0
    entities: set[str] = field(default_factory=set)


class Watch:
    """`maxspan watch` with one backend. `start`, then read `alerts` and `parents`, then `stop`."""

    def __init__(self, backend: str, rules: Path, folder: Path, janitor: Janitor) -> None:
        self.backend = backend
        self._rules = rules
        self._folder = folder / f"watch-{backend}"
        self._folder.mkdir()
        self._janitor = janitor
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._alerts: dict[str, Seen] = {}
        #: Entity id of each process to that of its parent, and by pid the entities that had it: (time, entity id).
        self.parents: dict[str, str] = {}
        self.by_pid: dict[int, list[tuple[float, str]]] = {}

    def start(self) -> None:
        """Start it and wait until it watches; raises LabError with what it said when it does not."""
        for name in ("alerts", "events"):
            (self._folder / name).touch()
        told = (self._folder / "stderr").open("wb")
        command = [sys.executable, "-m", "maxspan.cli.main"]
        script = Path(sys.executable).with_name("maxspan")
        command = [str(script)] if script.exists() else command
        options = ["--backend", self.backend, "-r", str(self._rules), "--format", "ndjson", "--no-hashes"]
        options += ["--alerts", str(self._folder / "alerts"), "--events", str(self._folder / "events")]
        with told:
            self._process = subprocess.Popen(
                [*command, "watch", *options, "--events-size", "100000"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=told,
                start_new_session=True,
            )
        self._janitor.process(self._process.pid)
        deadline = time.monotonic() + READY_SECONDS
        while READY not in self.said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"maxspan watch --backend {self.backend} does not start: {self.said()[-800:].strip()}")
            time.sleep(0.05)
        for name, take in (("alerts", self._take_alert), ("events", self._take_event)):
            thread = threading.Thread(target=self._follow, args=(self._folder / name, take), daemon=True)
            thread.start()
            self._threads.append(thread)

    def said(self) -> str:
        """What it has written to standard error."""
        path = self._folder / "stderr"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    @property
    def alerts(self) -> list[Seen]:
        """Alerts in the order in which they were seen."""
        return sorted(self._alerts.values(), key=lambda seen: seen.seen)

    def stop(self) -> None:
        """End it as Ctrl-C does, wait for its last words, and read the rest of its files."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGINT)
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _follow(self, path: Path, take: Any) -> None:
        rest = b""
        with path.open("rb") as lines:
            while True:
                last = self._stopped.is_set()
                rest = self._lines(lines, rest, take)
                if last:
                    return
                time.sleep(READ_EVERY_SECONDS)

    @staticmethod
    def _lines(lines: IO[bytes], rest: bytes, take: Any) -> bytes:
        *whole, rest = (rest + lines.read()).split(b"\n")
        now = time.time()
        for line in whole:
            take(json.loads(line), now)
        return rest

    def _take_event(self, event: dict[str, Any], _: float) -> None:
        process = event.get("process")
        if not isinstance(process, dict) or "entity_id" not in process:
            return
        entity, parent = process["entity_id"], process.get("parent", {}).get("entity_id")
        if entity not in self.parents:
            self.parents[entity] = parent or ""
            self.by_pid.setdefault(process["pid"], []).append((seconds_of(event["@timestamp"]), entity))

    def _take_alert(self, document: dict[str, Any], now: float) -> None:
        fields = flatten(document)

        def first(name: str) -> str:
            values = fields.get(name) or [""]
            return str(values[0])

        key = first("kibana.alert.group.id") or first("kibana.alert.uuid") or first("_id") or f"{len(self._alerts)}"
        alert = self._alerts.setdefault(key, Seen(first("kibana.alert.rule.name"), now))
        alert.entities |= {first("process.entity_id"), first("process.parent.entity_id")} - {""}
        times = [first("kibana.alert.original_time")]
        alert.completed = max([alert.completed, *(seconds_of(text) for text in times if text)])


def seconds_of(text: str) -> float:
    """Read a timestamp as seconds from the epoch."""
    return datetime.fromisoformat(text).timestamp()
