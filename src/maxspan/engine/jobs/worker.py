"""The process that reads parts: it does what it is asked, one thing after another, until nobody asks any more."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TypeAlias

from maxspan.engine.jobs.parts import Part
from maxspan.engine.jobs.run import Joined, PartResult, Place, Run, Summary
from maxspan.engine.kernel.compiled import CompiledRules
from maxspan.engine.kernel.gathered import Sampled
from maxspan.rules.model import Rule


@dataclass(slots=True)
class Settings:
    """What all workers are given: the rules, and compiled too where memory is shared."""

    rules: Sequence[Rule]
    ignore_index: bool
    ordered: bool
    chunk_bytes: int
    compiled: CompiledRules | None = None


@dataclass(slots=True)
class TakePart:
    """Read a part of a run. `number` is that of the run's first part in the input."""

    number: int
    part: Part


@dataclass(slots=True)
class EndRun:
    """The run is over: say how far it goes. Behind the `last` run there is no other."""

    number: int
    last: bool = False


@dataclass(slots=True)
class JoinRun:
    """What was unfinished before the run is this: say what became of it.

    Once all its sequences have been told, only samples of the run are kept.
    """

    number: int
    states: dict[Place, bytes] = field(default_factory=dict)
    last: bool = False


@dataclass(slots=True)
class GiveSequences:
    """Give more of the sequences of the run."""

    number: int


@dataclass(slots=True)
class GiveSamples:
    """All has been read: give the events of these rules on samples, of all runs."""

    rules: list[int]


@dataclass(slots=True)
class Samples:
    """Events of samples, by the numbers of their rules."""

    samples: list[dict[int, list[Sampled]]]


@dataclass(slots=True)
class Failed:
    """The worker cannot go on."""

    message: str


Request: TypeAlias = TakePart | EndRun | JoinRun | GiveSequences | GiveSamples
Answer: TypeAlias = PartResult | Summary | Joined | Samples | Failed


def work(connection: Connection, settings: Settings, foreign: Sequence[Connection]) -> None:
    """Answer requests until the other end is closed. `foreign` are connections of others that were inherited."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in foreign:
        other.close()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # events leave no cycles behind
    parent = os.getppid()
    try:
        compiled = settings.compiled or CompiledRules(settings.rules, ignore_index=settings.ignore_index)
        runs: dict[int, Run] = {}
        while os.getppid() == parent:
            connection.send(_answer(connection.recv(), runs, compiled, settings))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody wants to know any more
    except MemoryError:
        connection.send(Failed("out of memory"))
    except OSError as error:
        connection.send(Failed(f"{error.strerror or error}"))


def _answer(request: Request, runs: dict[int, Run], compiled: CompiledRules, settings: Settings) -> Answer:
    if isinstance(request, GiveSamples):
        return Samples([run.samples(request.rules) for run in runs.values()])
    run = runs.get(request.number)
    if run is None:
        run = Run(compiled, request.number, ordered=settings.ordered, chunk_bytes=settings.chunk_bytes)
        runs[request.number] = run
    match request:
        case TakePart(part=part):
            return run.take(part)
        case EndRun(last=last):
            return run.end(last=last)
        case JoinRun(states=states, last=last):
            return _told(run, run.join(states, last=last))
        case GiveSequences():
            return _told(run, run.sequences(Joined()))


def _told(run: Run, joined: Joined) -> Joined:
    if not joined.more:
        run.let_go()
    return joined
