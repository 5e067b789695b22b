"""The processes of a detection as a tree, and what each of them did: data only, drawn elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from maxspan.alerts.fields import Fields, as_text, first
from maxspan.alerts.reason import action, deed_of, endpoint

_Key: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Deed:
    """One event of the detection: its step (from 1), what happened, and whether the process itself is the event."""

    step: int
    text: str


@dataclass(slots=True, eq=False)
class Process:
    """One process; `commands` are its command lines in the order seen (more than one after an exec)."""

    pid: str = ""
    name: str = ""
    commands: list[str] = field(default_factory=list)
    steps: list[Deed] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    parent: Process | None = None
    children: list[Process] = field(default_factory=list)

    def learn(self, event: Fields, prefix: str) -> None:
        self.pid = self.pid or first(event, f"{prefix}.pid")
        self.name = first(event, f"{prefix}.name", f"{prefix}.executable") or self.name
        command = _command(event, prefix)
        if command and (not self.commands or self.commands[-1] != command):
            self.commands.append(command)

    def adopt(self, child: Process) -> None:
        """Become the parent of `child`, unless it has one or the tree would bite its tail (events may lie)."""
        if child.parent is not None:
            return
        above: Process | None = self
        while above is not None:
            if above is child:
                return
            above = above.parent
        child.parent = self
        self.children.append(child)


@dataclass(slots=True)
class ProcessTree:
    """The topmost processes, and the deeds that no process is known for."""

    roots: list[Process] = field(default_factory=list)
    others: list[Deed] = field(default_factory=list)


def process_tree(events: Iterable[Fields]) -> ProcessTree:
    """Build the tree of the processes that the events name, each with its parent; events in order, step 1 first."""
    tree = ProcessTree()
    known: dict[_Key, Process] = {}
    for step, event in enumerate(events, start=1):
        process = _find(known, event, "process")
        if process is None:
            tree.others.append(Deed(step, " ".join(deed_of(event)).strip()))
            continue
        parent = _find(known, event, "process.parent")
        if parent is not None:
            parent.learn(event, "process.parent")
            parent.adopt(process)
        process.learn(event, "process")
        if _is_process_event(event):
            process.steps.append(Deed(step, action(event)))
        else:
            process.deeds.append(Deed(step, _deed(event)))
    tree.roots = [process for process in dict.fromkeys(known.values()) if process.parent is None]
    return tree


def _find(known: dict[_Key, Process], event: Fields, prefix: str) -> Process | None:
    """Find or make the process by its entity id, else by host and pid."""
    host = first(event, "host.id", "host.name")
    entity, pid = first(event, f"{prefix}.entity_id"), first(event, f"{prefix}.pid")
    keys: list[_Key] = [("entity", entity)] if entity else []
    if pid and not entity:
        keys.append((host, pid))
    if not keys and prefix == "process" and (name := first(event, "process.name", "process.executable")):
        keys.append(("name", name))
    if not keys:
        return None
    process = known.setdefault(keys[0], Process())
    if entity and pid:  # an event that names its parent by pid alone means this one
        known.setdefault((host, pid), process)
    return process


def _command(event: Fields, prefix: str) -> str:
    line = first(event, f"{prefix}.command_line")
    return line or " ".join(as_text(value) for value in event.get(f"{prefix}.args", ()))


def _is_process_event(event: Fields) -> bool:
    kinds = event.get("event.category", ())
    return "process" in kinds and not {"network", "file", "registry", "library"} & {as_text(kind) for kind in kinds}


def _deed(event: Fields) -> str:
    """Give the connection with both its ends, or what else the process did."""
    source, destination = endpoint(event, "source"), endpoint(event, "destination")
    if "network" in event.get("event.category", ()) and source and destination:
        said = (f"{source} → {destination}", first(event, "network.transport"), action(event))
        return "  ".join(part for part in said if part)
    return deed_of(event)[1]
