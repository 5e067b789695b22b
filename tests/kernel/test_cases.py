"""Every case file of the language through the kernel, in batch and as a stream: the positions of the reference."""

from __future__ import annotations

import json
from typing import Any

import pytest

import maxspan
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.languages import plan
from maxspan.prover.judge import signature
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk
from tests.test_cases import FINDS, lines_of, load


def rule_of(case: dict[str, Any]) -> Rule:
    options = case.get("options", {})
    return Rule(
        id="case",
        name="case",
        type="eql",
        query=case["query"],
        plan=maxspan.parse(case["query"]),
        timestamp_field=options.get("timestamp_field", "@timestamp"),
        tiebreaker_field=options.get("tiebreaker_field") or "",
        event_category_field=options.get("event_category_field", ""),
    )


def run(detector: Any, data: bytes) -> list[Any]:
    found = [*detector.feed(Chunk(data)), *detector.finish()]
    return sorted(map(signature, found), key=repr)


@pytest.mark.parametrize("name", [name for name in FINDS if "schema" not in load(name)])
def test_case(name: str) -> None:
    case = load(name)
    rule = rule_of(case)
    lines = [line.encode() for line in lines_of(case)]
    nested = [json.dumps(_nested(json.loads(line))).encode() for line in lines]
    for form in (lines, nested):
        data = b"\n".join(form) + b"\n"
        reference, kernel = ReferenceDetector([rule]), KernelDetector([rule])
        assert run(kernel, data) == run(reference, data), case["about"]
        assert kernel.counters.without_timestamp == reference.counters.without_timestamp
        if isinstance(rule.plan, plan.SequenceQuery) and not rule.plan.pipes:
            stream = KernelDetector([rule], stream=True, lateness_ns=10**18)
            assert run(stream, data) == run(ReferenceDetector([rule]), data), case["about"]


def _nested(document: dict[str, Any]) -> dict[str, Any]:
    """Write dotted keys as objects, where that is possible."""
    out: dict[str, Any] = {}
    for key, value in document.items():
        *path, last = key.split(".")
        here = out
        for part in path:
            inner = here.setdefault(part, {})
            if not isinstance(inner, dict):
                return document
            here = inner
        if last in here:
            return document
        here[last] = value
    return out
