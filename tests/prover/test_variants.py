"""Each alternative of a rule gets events of its own."""

from __future__ import annotations

from maxspan.prover.judge import matches
from maxspan.prover.proof import Proof
from maxspan.prover.prove import prove
from maxspan.prover.variants import variants, with_variants
from tests.prover.rules_of_our_own import rule

QUERY = """
process where process.name in ("bash", "sh", "zsh") and (user.id == "0" or process.args : ("a*", "*b")) and
  not process.parent.name : ("apt*", "dpkg") and not cidrMatch(source.ip, "10.0.0.0/8", "192.168.0.0/16")
"""


def test_every_literal_has_a_case_of_its_own() -> None:
    proof = prove(rule(QUERY))
    cases = list(variants(proof))
    for case in cases:
        assert bool(matches([proof.rule], proof.lines(case.events))) is case.fires, case.text
    assert {case.text for case in cases if case.fires} == {
        'process.name in ("bash")',
        'process.name in ("sh")',
        'process.name in ("zsh")',
        'user.id == "0"',
        'process.args : ("a*", "*b")',
        'process.args : ("a*")',
        'process.args : ("*b")',
    }
    assert {case.text for case in cases if not case.fires} == {
        'process.parent.name : ("apt*")',
        'process.parent.name : ("dpkg")',
        'cidrMatch(source.ip, "10.0.0.0/8")',
        'cidrMatch(source.ip, "192.168.0.0/16")',
    }


def test_sequences_and_limits() -> None:
    proof = prove(
        rule('sequence by host.id [process where a in ("x", "y")] with runs=2 [file where b : ("p*", "q*", "r*")]')
    )
    cases = list(variants(proof))
    assert sum(case.fires for case in cases) == 5
    assert len(list(variants(proof, limit=2))) == 2
    for case in cases:
        assert bool(matches([proof.rule], proof.lines(case.events))) is case.fires, case.text


def test_a_rule_that_does_not_fire_has_none() -> None:
    assert list(variants(prove(rule('any where a == "x" and not a == "x"')))) == []
    assert list(variants(Proof(rule("any where true"), "not proved"))) == []


def test_alternatives_that_can_never_fire_are_noted() -> None:
    query = 'process where data_stream.dataset in ("endpoint.events.process", "windows.sysmon") and a in ("x", "y")'
    proof = with_variants(prove(rule(query, index=("logs-endpoint.events.process-*", "logs-windows.forwarded*"))))
    assert proof.status == "fires"
    (note,) = proof.notes
    assert "windows.sysmon" in note and "index patterns" in note
    assert {variant.text for variant in proof.variants if variant.fires} == {
        'data_stream.dataset in ("endpoint.events.process")',
        'a in ("x")',
        'a in ("y")',
    }
