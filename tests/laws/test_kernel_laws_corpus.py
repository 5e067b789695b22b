"""Over Elastic's own rules: each can be made to fire, near misses do not fire, and all detectors find the same.

The rules are not part of the project: MAXSPAN_SHARED names the folder that holds them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from maxspan.prover.judge import Disagreement, Factory, compare, matches
from maxspan.prover.proof import Proof
from maxspan.prover.prove import prove
from maxspan.prover.variants import variants
from maxspan.rules.load import load_rules
from maxspan.rules.model import Rule

#: in the fast suite every so-manieth rule; the others in the slow one
EVERY = 10
#: seconds for a rule: on a busy machine the usual ones are not enough
_PATIENCE = 300


@cache
def corpus() -> tuple[Rule, ...]:
    shared = os.environ.get("MAXSPAN_SHARED")
    if not shared:
        pytest.skip("MAXSPAN_SHARED is not set, so there are no rules of Elastic here")
    folder = Path(shared) / "corpus" / "elastic"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    return load_rules([str(folder)]).runnable


@cache
def proofs(start: int, step: int) -> tuple[Proof, ...]:
    return tuple(prove(rule, limit_seconds=_PATIENCE) for rule in corpus()[start::step])


def kernel() -> Factory:
    """Give the fast detector, which must be equal to the reference."""
    if importlib.util.find_spec("maxspan.engine.kernel.detector") is None:
        pytest.skip("the kernel does not exist yet")
    module = importlib.import_module("maxspan.engine.kernel.detector")
    factory: Factory = module.KernelDetector
    return factory


def check_proofs(proved: Sequence[Proof]) -> None:
    status = Counter(proof.status for proof in proved)
    assert status["fires"] > 0
    wrong = [
        (proof.rule.name, proof.status, proof.why, proof.wrong, proof.unbroken) for proof in proved if not sure(proof)
    ]
    assert wrong == []


def sure(proof: Proof) -> bool:
    """Whether a rule is proved, or is known not to fire: a condition on a join key excludes one of another stage."""
    return proof.complete or (proof.status == "impossible" and any("join key" in note for note in proof.notes))


def differences(proved: Sequence[Proof], factory: Factory) -> list[tuple[str, str, Disagreement]]:
    """Compare on the events that fire, on every near miss and on every alternative of each rule."""
    out: list[tuple[str, str, Disagreement]] = []
    for proof in proved:
        cases = [("fires", proof.events), *((miss.breaks, miss.events) for miss in proof.near_misses)]
        cases += [(variant.text, variant.events) for variant in variants(proof, limit=100)]
        for text, events in cases:
            for found in compare([proof.rule], proof.lines(events), {"kernel": factory}):
                out.append((proof.rule.name, text, found))
    return out


def check_together(proved: Sequence[Proof], factory: Factory) -> None:
    """Run all rules at once over the events of all of them."""
    rules = [proof.rule for proof in proved]
    data = b"".join(proof.lines(proof.events) for proof in proved if proof.status == "fires")
    data += b"".join(proof.lines(proof.nearest.events) for proof in proved if proof.nearest is not None)
    assert len(matches(rules, data)) >= sum(proof.status == "fires" for proof in proved) * 0.9
    assert compare(rules, data, {"kernel": factory}) == []


def check_variants(proved: Sequence[Proof]) -> None:
    """An alternative fires as expected, or it asks for events that the rule's index patterns leave out."""
    total, other = 0, []
    for proof in proved:
        for variant in variants(proof, limit=40):
            total += 1
            if bool(matches([proof.rule], proof.lines(variant.events))) is not variant.fires:
                other.append((proof.rule.name, variant.text))
    assert total > len(proved)
    assert [one for one in other if "data_stream." not in one[1] and "event.dataset" not in one[1]] == []


def test_every_tenth_rule_is_proved_with_all_its_near_misses() -> None:
    check_proofs(proofs(0, EVERY))


def test_every_alternative_of_some_rules_fires() -> None:
    check_variants(proofs(0, EVERY)[::3])


def test_the_kernel_equals_the_reference_on_every_tenth_rule() -> None:
    assert differences(proofs(0, EVERY), kernel()) == []


def test_the_kernel_equals_the_reference_with_every_tenth_rule_at_once() -> None:
    check_together(proofs(0, EVERY), kernel())


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1, EVERY))
def test_every_rule_is_proved_with_all_its_near_misses(start: int) -> None:
    check_proofs(proofs(start, EVERY))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(EVERY))
def test_every_alternative_fires(start: int) -> None:
    check_variants(proofs(start, EVERY))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1, EVERY))
def test_the_kernel_equals_the_reference_on_every_rule(start: int) -> None:
    assert differences(proofs(start, EVERY), kernel()) == []


@pytest.mark.slow
def test_the_kernel_equals_the_reference_with_all_rules_at_once() -> None:
    check_together([proof for start in range(EVERY) for proof in proofs(start, EVERY)], kernel())
