"""The real sensor as a user starts it, in a process of its own, and what it writes.

`Watch` is `maxspan watch`: alerts are read as they are written. `Recording` is `maxspan record`, with the rules run
over the events afterwards by the reference engine: the same table without the seconds, and a second opinion.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lab.errors import LabError
from lab.janitor import Janitor
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.rules.load import load_rules
from maxspan.sources.chunk import Chunk
from maxspan.sources.document import flatten

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0
END_SECONDS = 30.0
READ_EVERY_SECONDS = 0.02


@dataclass(slots=True)
class Seen:
    """All documents of one alert: a sequence has a building block for each event. `seen` is time.time()."""

    rule: str
    seen: float | None
    completed: float = 0.0
    entities: set[str] = field(default_factory=set)


class Sensor:
    """A command of maxspan that writes events. `start`, then read `parents` and `by_pid`, then `stop`."""

    subcommand = ""

    def __init__(self, backend: str, rules: Path, folder: Path, janitor: Janitor) -> None:
        self.backend = backend
        self._rules = rules
        self._folder = folder / f"{self.subcommand}-{backend}"
        self._folder.mkdir()
        self._janitor = janitor
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        #: Entity id of each process to that of its parent, and by pid the entities that had it: (time, entity id).
        self.parents: dict[str, str] = {}
        self.by_pid: dict[int, list[tuple[float, str]]] = {}

    def options(self) -> list[str]:
        raise NotImplementedError

    def followed(self) -> dict[str, Callable[[bytes, float], None]]:
        """Files in the folder that are read while they grow, and what takes a line and the time of reading it."""
        return {"events": self._take_event}

    def start(self) -> None:
        """Start it and wait until it watches; raises LabError with what it said when it does not."""
        for name in self.followed():
            (self._folder / name).touch()
        if self.backend == "audit":
            self._janitor.auditing()
        script = Path(sys.executable).with_name("maxspan")
        with (self._folder / "stderr").open("wb") as told:
            self._process = subprocess.Popen(
                [str(script), self.subcommand, "--backend", self.backend, *self.options()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=told,
                start_new_session=True,
            )
        self._janitor.process(self._process.pid)
        for name, take in self.followed().items():
            thread = threading.Thread(target=self._follow, args=(self._folder / name, take), daemon=True)
            thread.start()
            self._threads.append(thread)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        """Start a program again and again until its events come."""
        assert self._process is not None
        deadline = time.monotonic() + READY_SECONDS
        while True:
            probe = subprocess.Popen(["/bin/true"])
            probe.wait()
            time.sleep(READ_EVERY_SECONDS * 5)
            if probe.pid in self.by_pid:
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"maxspan {self.subcommand} --backend {self.backend}: {self.said()[-800:].strip()}")

    def said(self) -> str:
        """What it has written to standard error."""
        path = self._folder / "stderr"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def alerts(self, keep: Callable[[str], bool]) -> list[Seen]:
        """Alerts in order of time; at least those about processes whose entity id is to be kept."""
        raise NotImplementedError

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

    def _follow(self, path: Path, take: Callable[[bytes, float], None]) -> None:
        rest = b""
        with path.open("rb") as lines:
            while True:
                last = self._stopped.is_set()
                *whole, rest = (rest + lines.read()).split(b"\n")
                now = time.time()
                for line in whole:
                    take(line, now)
                if last:
                    return
                time.sleep(READ_EVERY_SECONDS)

    def _take_event(self, line: bytes, _: float) -> None:
        event = json.loads(line)
        process = event.get("process")
        if not isinstance(process, dict) or "entity_id" not in process:
            return
        entity, parent = process["entity_id"], process.get("parent", {}).get("entity_id")
        if entity not in self.parents:
            self.parents[entity] = parent or ""
            self.by_pid.setdefault(process["pid"], []).append((seconds_of(event["@timestamp"]), entity))


class Watch(Sensor):
    """`maxspan watch` with the rules."""

    subcommand = "watch"

    def __init__(self, backend: str, rules: Path, folder: Path, janitor: Janitor) -> None:
        super().__init__(backend, rules, folder, janitor)
        self._alerts: dict[str, Seen] = {}

    def options(self) -> list[str]:
        files = ["--alerts", str(self._folder / "alerts"), "--events", str(self._folder / "events")]
        return ["-r", str(self._rules), "--format", "ndjson", *files, "--events-size", "100000"]

    def followed(self) -> dict[str, Callable[[bytes, float], None]]:
        return {"alerts": self._take_alert, "events": self._take_event}

    def alerts(self, keep: Callable[[str], bool]) -> list[Seen]:
        return sorted(self._alerts.values(), key=lambda seen: seen.seen or 0.0)

    def _take_alert(self, line: bytes, now: float) -> None:
        fields = flatten(json.loads(line))

        def first(name: str) -> str:
            values = fields.get(name) or [""]
            return str(values[0])

        key = first("kibana.alert.group.id") or first("kibana.alert.uuid") or f"{len(self._alerts)}"
        alert = self._alerts.setdefault(key, Seen(first("kibana.alert.rule.name"), now))
        alert.entities |= {first("process.entity_id"), first("process.parent.entity_id")} - {""}
        if time_text := first("kibana.alert.original_time"):
            alert.completed = max(alert.completed, seconds_of(time_text))


class Recording(Sensor):
    """`maxspan record`; the rules run when it has ended."""

    subcommand = "record"

    def __init__(self, backend: str, rules: Path, folder: Path, janitor: Janitor) -> None:
        super().__init__(backend, rules, folder, janitor)
        self._lines: list[tuple[str, bytes]] = []

    def options(self) -> list[str]:
        return [str(self._folder / "events")]

    def _take_event(self, line: bytes, now: float) -> None:
        super()._take_event(line, now)
        self._lines.append((json.loads(line).get("process", {}).get("entity_id", ""), line))

    def alerts(self, keep: Callable[[str], bool]) -> list[Seen]:
        detector = ReferenceDetector(load_rules([self._rules]))
        kept = [line for entity, line in self._lines if keep(entity)]
        detector.feed(Chunk(b"\n".join(kept), "events", 1))
        out = []
        for match in detector.finish():
            seen = Seen(match.rule.name, None)
            for event in match.events:
                if event is not None:
                    document = json.loads(event.raw)
                    seen.entities.add(document["process"]["entity_id"])
                    seen.completed = max(seen.completed, seconds_of(document["@timestamp"]))
            out.append(seen)
        return sorted(out, key=lambda seen: seen.completed)


SENSORS: dict[str, type[Sensor]] = {"watch": Watch, "record": Recording}


def seconds_of(text: str) -> float:
    """Read a timestamp as seconds from the epoch."""
    return datetime.fromisoformat(text).timestamp()
