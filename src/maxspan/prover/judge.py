"""Whether a rule fires on events, as a detector says; and whether several detectors say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from maxspan.engine.detector import Detector
from maxspan.engine.match import RuleMatch
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk

Factory: TypeAlias = Callable[[Iterable[Rule]], Detector]
#: what a match is known by: the rule, the positions of its events, its join keys
Signature: TypeAlias = tuple[str, tuple[int | None, ...], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two detectors that find different matches in the same events."""

    name: str
    expected: tuple[Signature, ...]
    found: tuple[Signature, ...]
    data: bytes


def reference(rules: Iterable[Rule]) -> Detector:
    """Make the reference detector."""
    return ReferenceDetector(rules)


def matches(rules: Iterable[Rule], data: bytes, factory: Factory = reference) -> list[RuleMatch]:
    """Run rules over lines of JSON and give all matches."""
    detector = factory(rules)
    found = list(detector.feed(Chunk(data)))
    return [*found, *detector.finish()]


def signature(match: RuleMatch) -> Signature:
    """Give what a match is known by."""
    return (
        match.rule.id,
        tuple(None if event is None else event.position for event in match.events),
        match.join_keys,
    )


def compare(rules: Iterable[Rule], data: bytes, factories: Mapping[str, Factory]) -> list[Disagreement]:
    """Run several detectors over the same lines and give those that differ from the reference, whatever their order."""
    rules = list(rules)
    expected = _sorted(matches(rules, data))
    out: list[Disagreement] = []
    for name, factory in factories.items():
        found = _sorted(matches(rules, data, factory))
        if found != expected:
            out.append(Disagreement(name, expected, found, data))
    return out


def _sorted(found: Iterable[RuleMatch]) -> tuple[Signature, ...]:
    return tuple(sorted(map(signature, found), key=repr))
