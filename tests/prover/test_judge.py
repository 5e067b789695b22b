"""Detectors are compared with the reference by their matches, and a difference is shown."""

from __future__ import annotations

from collections.abc import Iterable

from maxspan.engine.detector import Counters, Detector
from maxspan.engine.match import RuleMatch
from maxspan.prover.judge import compare, matches, reference, signature
from maxspan.prover.prove import prove
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk
from tests.prover.rules_of_our_own import rule

SEQUENCE = 'sequence by host.id [process where a == "x"] [file where b == "y"]'


class Deaf:
    """A detector that never finds anything."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.counters = Counters()

    def feed(self, chunk: Chunk) -> list[RuleMatch]:
        return []

    def finish(self) -> list[RuleMatch]:
        return []


def test_a_detector_that_agrees_is_not_mentioned() -> None:
    given = rule(SEQUENCE)
    proof = prove(given)
    assert compare([given], proof.lines(proof.events), {"the same": reference}) == []


def test_a_detector_that_misses_is_shown_with_the_events() -> None:
    given = rule(SEQUENCE)
    proof = prove(given)
    data = proof.lines(proof.events)
    deaf: type[Detector] = Deaf
    (difference,) = compare([given], data, {"the same": reference, "deaf": deaf})
    assert difference.name == "deaf"
    assert difference.found == ()
    assert difference.data == data
    (expected,) = difference.expected
    assert expected[:2] == (given.id, (0, 1))
    assert [signature(match) for match in matches([given], data)] == [expected]
