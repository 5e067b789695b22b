"""Workers as the asking side sees them: started, asked, waited for, ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Literal

from maxspan.engine.jobs.worker import Answer, Failed, Request, Settings, work
from maxspan.engine.kernel.compiled import CompiledRules

Method = Literal["fork", "spawn"]
_PATIENCE_S: Final = 2.0


class WorkerLost(Exception):
    """A worker has ended, or cannot go on; the message says how, `request` is what it was doing."""

    def __init__(self, message: str, request: Request | None) -> None:
        super().__init__(message)
        self.request = request


@dataclass(eq=False)
class Worker:
    """One process; `asked` are requests that have no answer yet."""

    process: BaseProcess
    connection: Connection
    asked: deque[Request] = field(default_factory=deque)

    def ask(self, request: Request) -> None:
        """Send a request. Raises WorkerLost."""
        self.asked.append(request)
        try:
            self.connection.send(request)
        except (BrokenPipeError, ConnectionResetError):
            raise self.lost() from None

    def answer(self) -> tuple[Request, Answer]:
        """Receive the answer to the oldest request. Raises WorkerLost."""
        try:
            answer: Answer = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self.lost() from None
        if isinstance(answer, Failed):
            raise self._stopped(answer)
        return self.asked.popleft(), answer

    @property
    def _doing(self) -> Request | None:
        return self.asked[0] if self.asked else None

    def _stopped(self, failed: Failed) -> WorkerLost:
        return WorkerLost(f"a worker process (pid {self.process.pid}) stopped: {failed.message}", self._doing)

    def lost(self) -> WorkerLost:
        """Give what has become of a process that does not answer."""
        try:
            while self.connection.poll():  # it may have said so before it ended
                last = self.connection.recv()
                if isinstance(last, Failed):
                    return self._stopped(last)
        except (EOFError, OSError):
            pass
        self.process.join(_PATIENCE_S)
        code = self.process.exitcode
        if code is None:
            how = "does not answer"
        elif code < 0:
            how = f"was killed by {_signal_name(-code)}"
        else:
            how = f"ended with status {code}"
        return WorkerLost(f"a worker process (pid {self.process.pid}) {how}", self._doing)


class Workers:
    """All workers. They end when `close` is called, and also when this process ends in any way."""

    def __init__(self, settings: Settings, count: int, method: Method | None = None) -> None:
        method = method or default_method()
        if method == "fork":
            settings.compiled = settings.compiled or CompiledRules(settings.rules, ignore_index=settings.ignore_index)
        else:
            settings = Settings(settings.rules, settings.ignore_index, settings.ordered, settings.chunk_bytes)
        fork, spawn = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")
        context = fork if method == "fork" else spawn
        self.all: list[Worker] = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            foreign = [*(worker.connection for worker in self.all), ours] if method == "fork" else []
            process = context.Process(target=work, args=(theirs, settings, foreign), daemon=True)
            with _no_interrupts(), _no_main_module():
                process.start()
                self.all.append(Worker(process, ours))
            theirs.close()

    def ready(self) -> list[Worker]:
        """Wait until workers have answered, or have ended, and give them."""
        connections = {worker.connection: worker for worker in self.all if worker.asked}
        return [connections[one] for one in wait(list(connections)) if isinstance(one, Connection)]

    def close(self) -> None:
        """End all of them."""
        for worker in self.all:
            worker.connection.close()
            worker.process.terminate()
        for worker in self.all:
            worker.process.join(_PATIENCE_S)
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()
        self.all = []


def default_method() -> Method:
    """Give how to start processes: a copy of this one is quickest, but only one without other threads may be copied."""
    try:
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - only the number counts
    except OSError:
        return "spawn"
    return "fork" if threads == 1 and Path("/proc/self/task").exists() else "spawn"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back while a process begins: it must not be hit by it before it knows what to do then."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Let a new process not run the script of this one: a worker needs nothing of it, and it may scan itself."""
    main = sys.modules["__main__"]
    hidden: dict[str, Any] = {name: vars(main)[name] for name in ("__spec__", "__file__") if name in vars(main)}
    vars(main).update(__spec__=None, __file__=None)
    try:
        yield
    finally:
        del main.__spec__, main.__file__
        vars(main).update(hidden)
