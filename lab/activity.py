"""Things that are run on the two machines: how they are listed, started and judged.

An activity is a function of the pair of machines. It starts servers, uses them, and raises LabError when something
does not work, so that "no alert" never means that nothing happened. `needs` are programs it cannot do without.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.namespaces import PATH, PEER_IP, Machine, Pair, Program
from lab.outcome import Outcome

WEB = 8080


@dataclass(frozen=True, slots=True)
class Activity:
    name: str
    what: str
    run: Callable[[Pair], None]
    needs: tuple[str, ...] = ()
    expected: str = ""

    def missing(self) -> str:
        """Name the first program that is not there; empty when nothing is missing."""
        return next((name for name in self.needs if shutil.which(name, path=PATH) is None), "")


#: Ordinary work, filled by the modules of `lab.benign`.
ACTIVITIES: list[Activity] = []


def activity(what: str, *needs: str) -> Callable[[Callable[[Pair], None]], Callable[[Pair], None]]:
    """Put a function on the list under its own name."""

    def register(run: Callable[[Pair], None]) -> Callable[[Pair], None]:
        ACTIVITIES.append(Activity(run.__name__, what, run, needs))
        return run

    return register


def perform(pair: Pair, what: Activity, kind: str = "benign") -> Outcome:
    """Do one activity; the outcome tells whether it worked."""
    outcome = Outcome(what.name, "related" if kind == "related" else "benign", what.what, expected=what.expected)
    missing = what.missing()
    if missing:
        outcome.trouble = f"{missing} is not there"
        return outcome
    outcome.started = time.time()
    try:
        what.run(pair)
        outcome.worked = True
    except (LabError, OSError) as error:
        outcome.worked, outcome.trouble = False, str(error)
    outcome.roots = (*pair.victim.host_pids, *pair.peer.host_pids)
    outcome.machines = (pair.victim.init_pid, pair.peer.init_pid)
    outcome.ended = time.time()
    return outcome


def script(machine: Machine, text: str, seconds: float = 30.0, shell: str = "/bin/bash") -> str:
    """Run a script on a machine (`sh -c`), to its end."""
    return machine.run(shell, "-c", text, seconds=seconds)


def write(machine: Machine, name: str, text: str, mode: int = 0o755) -> Path:
    """Put a file into a machine's home."""
    path = machine.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def wanted(text: str, part: str) -> None:
    """Make sure that the work was done: `part` must be in what was printed."""
    if part not in text:
        raise LabError(f"{part!r} is not in the output: {text[-300:]!r}")


def web_server(machine: Machine, folder: Path, *options: str, ip: str = PEER_IP) -> Program:
    command = ["/usr/bin/python3", "-m", "http.server", str(WEB), "--bind", ip, "-d", str(folder), *options]
    program = machine.spawn(*command)
    machine.wait_for_port(WEB)
    return program
