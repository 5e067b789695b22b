"""Runs payloads: each for real, against a listener that asks for `id` and checks the answer."""

from __future__ import annotations

import time
from pathlib import Path

from lab.attacker import Conversation, Listener
from lab.errors import LabError
from lab.namespaces import Pair
from lab.outcome import Outcome
from lab.payloads import Payload


def run_payload(pair: Pair, payload: Payload, built: Path, certificate: Path, failed: dict[str, str]) -> Outcome:
    """Run one payload on the victim and end all that it left. `failed` holds what could not be compiled, and why."""
    outcome = Outcome(payload.name, "attack", _described(payload))
    missing = payload.missing(built)
    if payload.build in failed:
        outcome.trouble = f"not built: {failed[payload.build]}"
    elif missing:
        outcome.trouble = f"{missing} is not there"
    if outcome.trouble:
        return outcome
    outcome.started = time.time()
    try:
        told = _converse(pair, payload, built, certificate)
        outcome.worked, outcome.trouble = told.shell, told.trouble
    except LabError as error:
        outcome.worked, outcome.trouble = False, str(error)
    outcome.roots, outcome.machines = tuple(pair.victim.host_pids), (pair.victim.init_pid,)
    outcome.ended = time.time()
    return outcome


def _converse(pair: Pair, payload: Payload, built: Path, certificate: Path) -> Conversation:
    listener = Listener(payload, pair.peer, certificate)
    try:
        command = payload.command(pair.victim.home, built)
        program = pair.victim.spawn(*command, terminal=payload.terminal)
        told = listener.converse(f"maxspan{time.monotonic_ns()}")
        if not told.shell:
            told.trouble += f" ({program.text()[-200:].strip()!r})" if program.text().strip() else ""
        return told
    finally:
        listener.close()


def _described(payload: Payload) -> str:
    words = [payload.tool, payload.direction if payload.direction == "bind" else "", payload.transport.rstrip("2")]
    return ", ".join(word for word in words if word and word != "tcp")
