"""Runs tasks in processes of their own, several times in turn, and keeps the medians."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A task that did not end well; the message is the end of what it wrote."""


@dataclass(slots=True)
class Task:
    """One task as `benchmarks.task` takes it, and what its runs gave."""

    name: str
    data: Path
    rules: list[str]
    options: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> None:
        command = [sys.executable, "-m", "benchmarks.task", self.name, "--data", str(self.data), *self.options]
        if self.rules:
            command += ["--rules", *self.rules]
        _warm(self.data)
        done = subprocess.run(command, cwd=ROOT, env=os.environ | self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{self.name}: " + " / ".join(done.stderr.strip().splitlines()[-2:]))
        self.runs.append(json.loads(done.stdout))

    def median(self, what: str = "seconds") -> float:
        return statistics.median(run[what] for run in self.runs)

    @property
    def answer(self) -> dict[str, int]:
        answers = [run["answer"] for run in self.runs]
        assert all(answer == answers[0] for answer in answers), f"{self.name} gives other answers each time"
        return dict(answers[0])

    @property
    def left_out(self) -> set[str]:
        return set(self.runs[0].get("left_out", ()))


def _warm(data: Path) -> None:
    """Read a file, so that who comes first does not pay for pages that have been dropped."""
    if data.is_file():
        with data.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass


def in_turn(tasks: Mapping[str, Task], repeats: int) -> None:
    """Run every task `repeats` times, one after the other in each round, so that noise hits all alike."""
    for _ in range(repeats):
        for task in tasks.values():
            task.run()


def at_once(tasks: Sequence[Task]) -> None:
    """Run tasks at the same time, each once."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        list(pool.map(Task.run, tasks))


def command_seconds(command: list[str], repeats: int) -> float:
    """Give the median wall time of a command that prints nothing of interest."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def peak_memory_mb(command: list[str], data: Path, size: int) -> tuple[float, int]:
    """Run a command on a file of `size` bytes: the events of `data` again and again, each time a day later.

    Gives its peak resident memory and its exit status. The file is gone afterwards.
    """
    content = data.read_bytes()
    day = content[content.index(b'"@timestamp":"') + 14 :][:10]
    first = date.fromisoformat(day.decode())
    with tempfile.NamedTemporaryFile(prefix="long-", suffix=".ndjson", dir=data.parent) as file:
        for number in range(max(1, size // len(content))):
            file.write(content.replace(day + b"T", (first + timedelta(days=number)).isoformat().encode() + b"T"))
        file.flush()
        process = subprocess.Popen([*command, file.name], cwd=ROOT, stdout=subprocess.DEVNULL)
        peak = 0.0
        while process.poll() is None:  # what the kernel gives at the end counts the memory of this process as well
            peak = max(peak, _high_water_mb(process.pid))
            time.sleep(0.05)
    return peak, process.returncode


def _high_water_mb(pid: int) -> float:
    """Give the most memory that a process has had in use so far; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
