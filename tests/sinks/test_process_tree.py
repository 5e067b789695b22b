"""The processes of a detection as a tree, whatever the events claim."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from maxspan.sinks.process_tree import Process, process_tree
from maxspan.sources.document import flatten


def event(pid: int, parent: int | None = None, category: str = "process", **more: Any) -> dict[str, list[Any]]:
    document: dict[str, Any] = {"event.category": category, "process.pid": pid, "process.name": f"p{pid}", **more}
    if parent is not None:
        document |= {"process.parent.pid": parent, "process.parent.name": f"p{parent}"}
    return flatten(document)


def drawn(process: Process) -> Any:
    return {process.name: [drawn(child) for child in process.children]}


def test_children_stand_below_their_parents() -> None:
    tree = process_tree([event(3, 2), event(2, 1), event(4, 2)])
    assert [drawn(root) for root in tree.roots] == [{"p1": [{"p2": [{"p3": []}, {"p4": []}]}]}]
    assert tree.others == []


def test_an_exec_adds_a_command_line() -> None:
    tree = process_tree([event(2, 1, **{"process.command_line": "a"}), event(2, 1, **{"process.command_line": "b"})])
    (child,) = tree.roots[0].children
    assert child.commands == ["a", "b"]
    assert [deed.step for deed in child.steps] == [1, 2]


def test_what_a_process_did_hangs_on_it() -> None:
    file = event(2, category="file", **{"file.path": "/x", "event.action": "creation"})
    (root,) = process_tree([file]).roots
    assert [(deed.step, deed.text) for deed in root.deeds] == [(1, "created /x")]


def test_an_event_without_a_process_stands_apart() -> None:
    tree = process_tree([flatten({"event.category": "iam", "event.action": "added-user", "user.name": "bob"})])
    assert tree.roots == [] and [deed.text for deed in tree.others] == ["bob: added user"]


def test_one_pid_on_two_hosts_is_two_processes() -> None:
    assert len(process_tree([event(2, **{"host.id": "a"}), event(2, **{"host.id": "b"})]).roots) == 2


def test_entity_ids_join_what_pids_name() -> None:
    started = event(3, 2, **{"process.entity_id": "e3", "process.parent.entity_id": "e2"})
    known_by_pid = event(4, 3)
    (root,) = process_tree([started, known_by_pid]).roots
    assert drawn(root) == {"p2": [{"p3": [{"p4": []}]}]}


@given(st.lists(st.tuples(st.integers(1, 5), st.none() | st.integers(1, 5)), max_size=12))
def test_no_lie_about_parents_makes_a_circle(pairs: list[tuple[int, int | None]]) -> None:
    tree = process_tree([event(pid, parent) for pid, parent in pairs])
    seen: list[Process] = []
    pending = list(tree.roots)
    while pending:
        process = pending.pop()
        assert process not in seen
        seen.append(process)
        pending += process.children
    assert sum(len(process.steps) for process in seen) == len(pairs)
    assert {process.pid for process in seen} >= {str(pid) for pid, _ in pairs}
