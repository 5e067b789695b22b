"""Runs rule files over events, by the reference."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.rules.load import load_rules
from maxspan.rules.model import Rule, Ruleset
from maxspan.sources.chunk import Chunk

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "rules" / "linux"
#: The rule of the founding document stays as it is; it is tested elsewhere.
FOUNDING = "potential_reverse_shell"
DEFAULTS = {"host.id": "h1", "host.os.type": "linux", "event.type": "start"}


def shipped() -> Ruleset:
    return load_rules([str(RULES)])


def name_of(rule: Rule) -> str:
    return Path(rule.path).stem


def own_rules() -> list[Rule]:
    return [rule for rule in shipped() if name_of(rule) != FOUNDING]


def matches(rules: Iterable[Rule], data: bytes, path: str = "events") -> dict[str, int]:
    """Number of matches by rule file, rules without one left out."""
    detector = ReferenceDetector(rules)
    detector.feed(Chunk(data, path, 1))
    out: dict[str, int] = {}
    for match in detector.finish():
        out[name_of(match.rule)] = out.get(name_of(match.rule), 0) + 1
    assert detector.counters.unreadable == 0
    return dict(sorted(out.items()))


def lines(events: Iterable[Mapping[str, Any]]) -> bytes:
    """Write events a second apart, or at the second that `at` says, with what all events have."""
    out = []
    for number, event in enumerate(events):
        fields = {**DEFAULTS, **event}
        at = float(fields.pop("at", number))
        fields["@timestamp"] = f"2026-11-24T03:00:{at:09.6f}Z"
        fields["event.sequence"] = number
        category = "process" if "process.args" in event or "process.executable" in event else ""
        fields.setdefault("event.category", category or "network")
        args = fields.get("process.args")
        if args is not None:
            fields.setdefault("process.args_count", len(args))
            fields.setdefault("process.command_line", " ".join(args))
        out.append(json.dumps(fields).encode())
    return b"\n".join(out)
