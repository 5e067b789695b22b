"""A running BPF backend for tests, and programs for it to see."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from maxspan.sensor.bpf_backend import BpfBackend
from maxspan.sensor.records import Record

PYTHON = str(Path(sys.executable).resolve())
R = TypeVar("R", bound=Record)


class Watch:
    """A running backend that keeps all that it handed out."""

    def __init__(self, **options: Any) -> None:
        self.backend = BpfBackend(**options)
        self.records: list[Record] = []
        self.backend.start()

    def until(self, done: Callable[[], bool], seconds: float = 10) -> None:
        """Poll until `done`, at most for some seconds."""
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            self.records += self.backend.poll(100)
        assert done(), f"not seen within {seconds} s: {self.records[-20:]}"

    def of(self, cls: type[R], pid: int | None = None) -> list[R]:
        return [one for one in self.records if isinstance(one, cls) and (pid is None or one.pid == pid)]

    def one(self, cls: type[R], pid: int) -> R:
        """Wait for a record of a process; the first of them."""
        self.until(lambda: bool(self.of(cls, pid)))
        return self.of(cls, pid)[0]


def run(*args: str, **options: Any) -> int:
    """Run a program to its end; returns its pid."""
    with subprocess.Popen(args, **options) as process:
        process.wait()
    return process.pid


class Finished(NamedTuple):
    pid: int
    output: str


def python(code: str, *args: str, **options: Any) -> Finished:
    """Run Python code to its end; an error in it fails the test."""
    with subprocess.Popen([PYTHON, "-ISc", code, *args], stdout=subprocess.PIPE, text=True, **options) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return Finished(process.pid, output)


def start_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
