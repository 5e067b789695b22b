"""What a hostile event must not do: take memory or time out of proportion, or hide other events."""

from __future__ import annotations

import json
from typing import Any

import pytest

import maxspan
from maxspan.engine.kernel import tree
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk

TIME = 1714557600000


def rules_of(*queries: str, **fields: Any) -> list[Rule]:
    return [
        Rule(id=str(number), name=str(number), type="eql", query=query, plan=maxspan.parse(query), **fields)
        for number, query in enumerate(queries)
    ]


def found(detector: Any, documents: list[dict[str, Any]], size: int = 1) -> list[Any]:
    lines = [json.dumps(document).encode() for document in documents]
    out = []
    for begin in range(0, len(lines), size):
        out += detector.feed(Chunk(b"\n".join(lines[begin : begin + size]) + b"\n", first_line=begin + 1))
    out += detector.finish()
    return sorted((m.rule.id, [e and e.position for e in m.events], m.join_keys) for m in out)


def test_the_tree_is_forgotten_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer places than beginnings, each place that is made forgets all others."""
    monkeypatch.setattr(tree, "MOST_PLACES", 1)
    monkeypatch.setattr(tree, "_SAMPLES", 1)
    monkeypatch.setattr(tree, "_MANY", -1.0)
    rules = rules_of(
        'process where process.name == "a" and process.args : "x*"',
        'file where process.name in ("a", "b") or process.args : "*y"',
        'network where process.args == "z" and process.name != "b"',
    )
    documents = [
        {"event": {"category": category}, "process": {"name": name, "args": args}}
        for category in ("process", "file", "network")
        for name in ("a", "b", None)
        for args in ("x", "xy", "z")
    ] * 2
    assert found(KernelDetector(rules), documents) == found(ReferenceDetector(rules), documents)


def test_long_values_of_the_first_step_are_not_remembered() -> None:
    detector = KernelDetector(rules_of('any where event.action == "a" and event.type == "b"'))
    assert found(detector, [{"event": {"action": f"{n}" + "x" * 2000, "type": "b"}} for n in range(5)]) == []
    assert len(detector.compiled.tree._roots) == 0
