"""A `maxspan watch` or `maxspan record` that is measured: started as a user would, read from outside, ended as by
Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0
END_SECONDS = 60.0
#: A watch hashes the programs that run when it starts; that is not part of what is measured.
SETTLE_SECONDS = 3.0
BPF_STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Told:
    """What it said at its end: events in all and by kind, what was lost, late or not written; and its exit status."""

    text: str = ""
    events: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    late: int = 0
    status: int = 0


class Measured:
    """A command that watches this host; `recorded` is the file of a `record`, empty for a `watch`.

    `alerts` are the documents that a watch printed, each with the time (time.time()) at which its line was there.
    """

    def __init__(
        self, rules: Sequence[str] | None, folder: Path, *, backend: str = "bpf", count_bpf: bool = True
    ) -> None:
        """Start it and wait until it watches. `rules`: None records without any, an empty list has the shipped ones.

        `count_bpf` lets the kernel count the time of the BPF programs, which makes each of their runs longer."""
        self.recorded = folder / "events.ndjson" if rules is None else None
        if self.recorded is not None:
            self.recorded.touch()
            words = ["record", "--backend", backend, str(self.recorded)]
        else:
            chosen = [word for path in rules or () for word in ("-r", path)]
            words = ["watch", "--backend", backend, *chosen, "--format", "ndjson"]
        self._subcommand = words[0]
        self.alerts: list[tuple[float, dict[str, Any]]] = []
        self._said = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed at the end
        self._stats = BPF_STATS.read_text("ascii") if count_bpf and BPF_STATS.exists() else ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "maxspan.cli.main", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        self._reader = threading.Thread(target=self._read_alerts, daemon=True)
        self._reader.start()
        self._wait_until_ready()
        if self._stats:
            BPF_STATS.write_text("1", "ascii")
        time.sleep(SETTLE_SECONDS)

    def _read_alerts(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            now = time.time()
            self.alerts.append((now, json.loads(line)))

    def _wait_until_ready(self) -> None:
        """A watch says so; of a recording, the event of a program that is started again and again must come."""
        deadline = time.monotonic() + READY_SECONDS
        while not (self._records() if self.recorded else "watching through" in self.said()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = self.said().strip()[-500:]
                self.process.kill()
                raise SystemExit(f"maxspan {self._subcommand} does not start: {text}")
            time.sleep(0.05)

    def _records(self) -> bool:
        word = f"maxspan-ready-{time.monotonic_ns()}"
        subprocess.run(["/bin/true", word], check=True)
        time.sleep(0.1)
        assert self.recorded is not None
        return word.encode() in self.recorded.read_bytes()

    def said(self) -> str:
        """What it has written to standard error until now."""
        return os.pread(self._said.fileno(), 1 << 24, 0).decode("utf-8", "replace")

    def cpu_seconds(self) -> float:
        """Processor time since its start, user and system, of all its threads (not of the BPF programs: they run in
        the processes that they look at)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def bpf_seconds(self) -> float:
        """Time of its BPF programs since it was ready, on all processors; 0 where the kernel does not count it."""
        told: dict[str, int] = {}
        for info in Path(f"/proc/{self.process.pid}/fdinfo").iterdir():
            with contextlib.suppress(FileNotFoundError):
                text = info.read_text("utf-8")
                if found := re.search(r"^prog_id:\s+(\d+)$(?:.|\n)*^run_time_ns:\s+(\d+)$", text, re.MULTILINE):
                    told[found[1]] = int(found[2])
        return sum(told.values()) / 1e9

    def rss_bytes(self) -> int:
        """Resident memory now, the ring buffer included."""
        found = re.search(r"^VmRSS:\s+(\d+) kB$", self._status(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def peak_bytes(self) -> int:
        """The most resident memory that it ever had."""
        found = re.search(r"^VmHWM:\s+(\d+) kB$", self._status(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def _status(self) -> str:
        return Path(f"/proc/{self.process.pid}/status").read_text("utf-8")

    def end(self) -> Told:
        """End it and give what it told. May be called once only."""
        if self._stats:
            BPF_STATS.write_text(self._stats, "ascii")
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._reader.join(END_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        text = self.said()
        self._said.close()
        kinds = re.search(r"^  ((?:[\d,]+ \w+(?:, )?)+)$", text, re.MULTILINE)
        return Told(
            text,
            number(re.search(r"^([\d,]+) events? (?:in|written)", text, re.MULTILINE)),
            {name: int(count.replace(",", "")) for count, name in re.findall(r"(\d[\d,]*) (\w+)", kinds[1])}
            if kinds
            else {},
            lost_of(text),
            number(re.search(r"([\d,]+) events? came too late", text)),
            self.process.wait(),
        )


def number(found: re.Match[str] | None) -> int:
    return int(found[1].replace(",", "")) if found else 0


def lost_of(text: str) -> int:
    """Add up what a summary says to be lost: events in the kernel (by kind), and records that could not be decoded."""
    kernel = re.search(r"lost in the kernel: ([^;]+);", text)
    counts = re.findall(r"(\d[\d,]*) \w+", kernel[1]) if kernel else []
    counts += re.findall(r"(\d[\d,]*) records? could not be decoded", text)
    recorded = re.search(r"^! ([\d,]+) events were lost$", text, re.MULTILINE)  # the whole summary of a recording
    return sum(int(count.replace(",", "")) for count in counts) + number(recorded)
