"""Proofs of small rules: what fires, what only just does not, and what is said of rules that cannot fire."""

from __future__ import annotations

import pytest

import maxspan
from maxspan.languages import plan
from maxspan.prover.judge import matches
from maxspan.prover.proof import Proof
from maxspan.prover.prove import prove
from maxspan.sources.document import decode_line, flatten
from tests.prover.rules_of_our_own import rule


def proved(query: str, index: tuple[str, ...] = ()) -> Proof:
    """Prove a rule, and check all that it claims with the public `query`, which knows nothing of the prover."""
    proof = prove(rule(query, index=index))
    if proof.status == "fires":
        assert len(found(query, proof.lines(proof.events))) == proof.matches > 0
        for miss in proof.near_misses:
            assert found(query, proof.lines(miss.events)) == [], miss.breaks
    assert proof.wrong == ()
    return proof


def found(query: str, lines: bytes) -> list[maxspan.Match]:
    return maxspan.query(query, lines.splitlines())


def kinds(proof: Proof) -> set[str]:
    return {miss.kind for miss in proof.near_misses}


EVENT = """
process where host.os.type == "linux" and event.type == "start" and
  process.name in ("bash", "sh") and process.args : ("-c", "-i") and
  not process.parent.executable : "/usr/lib/*" and
  (user.id == "0" or process.working_directory : "/tmp/*") and not (process.args == "a" and process.args == "b")
"""


def test_an_event_rule_fires_and_every_condition_has_a_near_miss() -> None:
    proof = proved(EVENT)
    assert proof.status == "fires"
    assert proof.matches == 1
    assert proof.complete
    assert kinds(proof) == {"category", "condition"}
    assert len(proof.near_misses) == 8
    by_breaks = {miss.breaks.split(" ")[0]: miss for miss in proof.near_misses if len(miss.changes) == 1}
    assert [c.field for c in by_breaks["host.os.type"].changes] == ["host.os.type"]
    assert [c.field for c in by_breaks["event.category"].changes] == ["event.category"]


def test_the_nearest_is_one_small_change() -> None:
    nearest = proved(EVENT).nearest
    assert nearest is not None
    (change,) = nearest.changes
    assert change.before != change.after
    assert nearest.size[1] <= 2


def test_an_event_looks_like_one_of_elastic_defend() -> None:
    proof = proved(EVENT, ("logs-endpoint.events.process-*", "winlogbeat-*"))
    document = decode_line(proof.lines(proof.events))
    fields = flatten(document)
    assert fields["data_stream.dataset"] == ["endpoint.events.process"]
    assert fields["data_stream.type"] == ["logs"]
    for name in ("@timestamp", "event.id", "event.kind", "host.id", "host.name", "process.pid", "process.entity_id"):
        assert fields[name], name
    assert document["event"]["category"] == ["process"]
    assert isinstance(document["process"]["args"], list)


def test_added_fields_never_change_what_the_rule_means() -> None:
    proof = proved('process where user.name == null and process.pid == null and host.name != "host-1"')
    fields = proof.events[0].fields
    assert "user.name" not in fields
    assert "process.pid" not in fields
    assert fields.get("host.name") != ["host-1"]


SEQUENCE = """
sequence by host.id, user.id with maxspan=1m
  [process where process.name == "curl" and process.args : "http*"] by process.entity_id
  [file where file.extension == "sh" and event.action == "creation"] by process.parent.entity_id
  [process where process.name == "bash"] by process.entity_id
"""


def test_a_sequence_fires_once_and_breaks_by_key_span_and_order() -> None:
    proof = proved(SEQUENCE)
    assert (proof.status, proof.matches, len(proof.events)) == ("fires", 1, 3)
    assert proof.complete
    assert kinds(proof) == {"category", "condition", "key", "maxspan", "order"}
    keys = [miss for miss in proof.near_misses if miss.kind == "key"]
    assert {miss.breaks.removesuffix(" (missing)") for miss in keys} == {
        "by host.id",
        "by user.id",
        "by process.entity_id = process.parent.entity_id",
    }
    (late,) = (miss for miss in proof.near_misses if miss.kind == "maxspan")
    assert late.events[-1].time_ns - late.events[0].time_ns == 60_000_000_000 + 1_000_000


def test_exactly_the_span_still_fires() -> None:
    proof = proved(SEQUENCE)
    (late,) = (miss for miss in proof.near_misses if miss.kind == "maxspan")
    just = (*late.events[:-1], late.events[-1].at(late.events[-1].time_ns - 1_000_000))
    assert len(found(SEQUENCE, proof.lines(just))) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            'sequence by host.id with maxspan=5m [process where process.name == "a"] '
            '![process where process.name == "b"]',
            {"absence"},
        ),
        (
            'sequence by host.id with maxspan=5m ![file where true] [process where process.name == "a"] '
            "[network where true]",
            {"absence", "maxspan", "order", "key"},
        ),
        (
            "sequence by host.id with maxspan=10s [process where true] ![file where true] [network where true]",
            {"absence", "maxspan", "key"},
        ),
        (
            "sequence by host.id with maxspan=10s ![file where true] [process where true] [dns where true] "
            "![network where true]",
            {"absence"},
        ),
        (
            "sequence by user.id with maxspan=10s [process where true] with runs=4 "
            'until [session where event.action == "x"]',
            {"until", "key", "maxspan"},
        ),
        (
            'sequence with maxspan=1ms [any where a == "x"] with runs=3 [any where b == "y"]',
            {"condition", "maxspan"},
        ),
        ('sequence by ?user.id, host.id [any where a == "x"] [any where b == "y"]', {"key", "order"}),
        (
            'sample by host.id, process.pid [process where a == "x"] [file where true] [process where a == "y"]',
            {"condition", "key", "stage"},
        ),
        ('sequence by process.name [process where process.name == "x"] [file where true]', {"condition", "order"}),
        ("sequence by a, b [x where true] by c [y where true] by a", {"key"}),
    ],
)
def test_kinds_of_near_misses(query: str, expected: set[str]) -> None:
    proof = proved(query)
    assert proof.status == "fires", proof.why
    assert proof.unbroken == ()
    assert expected <= kinds(proof)


def test_until_and_missing_stages_that_fit_the_events_themselves_are_avoided() -> None:
    proof = proved(
        'sequence by host.id with maxspan=1m [process where a : "x*"] [process where a : "x*"] [process where a : "*"] '
        'until [process where a : ("example*", "xexample*")]'
    )
    assert proof.status == "fires"
    between = proved(
        'sequence by host.id with maxspan=1m [process where a : "*"] ![any where a == "example"] [file where a : "*"]'
    )
    assert between.status == "fires"


def test_a_contradiction_is_shown_with_what_excludes_what() -> None:
    proof = prove(rule('process where process.name == "a" and process.pid > 4 and not process.name : "A"'))
    assert proof.status == "impossible"
    assert "process.name" in proof.why
    assert "process.pid" not in proof.why
    assert not proof.events


def test_stages_that_share_a_key_contradict_each_other() -> None:
    proof = prove(rule('sequence by user.name [a where user.name == "x"] [b where user.name != "x"]'))
    assert proof.status == "impossible"
    assert proof.why.count("user.name") == 2
    several = proved('sequence by user.name [a where user.name == "x"] [b where user.name == "y"]')
    assert several.status == "fires"
    assert "user.name" in several.notes[0]


def test_conditions_on_keys_that_are_passed_on_are_explained() -> None:
    proof = prove(
        rule("sequence by a.name [a where not startsWith(a.name, b.name)] [b where startsWith(a.name, b.name)]")
    )
    assert proof.status in ("impossible", "fires")
    if proof.status == "impossible":
        assert any("join key" in note for note in proof.notes)


def test_what_is_not_found_is_not_proved_and_says_why() -> None:
    proof = prove(rule("any where n % 7 == 9"))
    assert proof.status == "not proved"
    assert "n % 7" in proof.why


def test_no_time_is_no_proof() -> None:
    proof = prove(rule(EVENT), limit_seconds=0)
    assert proof.status == "not proved"
    assert "limit" in proof.why


def test_a_condition_of_no_effect_is_named() -> None:
    proof = proved('process where process.name == "bash" and process.name != null and process.name : ("b*", "sh")')
    assert set(proof.implied) == {"process.name != null", 'process.name : ("b*", "sh")'}
    assert proof.complete


def test_several_values_in_a_field_of_one_are_noted() -> None:
    proof = proved('process where process.name == "a" and process.name == "b"')
    assert proof.status == "fires"
    assert any("process.name" in note for note in proof.notes)


def test_a_rule_that_looks_elsewhere_does_not_fire() -> None:
    query = 'any where data_stream.dataset == "okta.system" and a == "x"'
    proof = prove(rule(query, index=("logs-aws.cloudtrail-*",)))
    assert proof.status == "not proved"
    assert "index" in proof.why
    assert prove(rule(query, index=("logs-okta*",))).status == "fires"


def test_pipes() -> None:
    assert prove(rule("process where true | head 0")).status == "not proved"
    assert "pipe" in prove(rule("process where true | head 0")).why
    assert proved("process where true | tail 3").status == "fires"


def test_other_timestamp_category_and_tiebreaker_fields() -> None:
    given = rule("sequence by host.id with maxspan=5s [start where true] [stop where true]")
    given = type(given)(
        id=given.id,
        name=given.name,
        type="eql",
        plan=given.plan,
        timestamp_field="ts",
        event_category_override="kind.of",
        tiebreaker_field="seq",
    )
    proof = prove(given)
    assert proof.complete
    fields = flatten(decode_line(proof.lines(proof.events).splitlines()[0]))
    assert fields["kind.of"] == ["start"]
    assert fields["seq"] == [1]
    assert "ts" in fields and "@timestamp" not in fields
    assert len(matches([given], proof.lines(proof.events))) == 1


def test_a_condition_on_the_timestamp_is_kept() -> None:
    proof = proved('process where @timestamp == "2024-03-05T10:00:00Z" and a == "x"')
    assert proof.status == "fires"


def test_a_rule_without_a_plan_is_refused() -> None:
    given = rule("any where true")
    with pytest.raises(ValueError, match="no plan"):
        prove(type(given)(id="x", name="x", type="esql"))


def test_the_same_rule_gives_the_same_bytes() -> None:
    first, second = prove(rule(SEQUENCE)), prove(rule(SEQUENCE))
    assert first.lines(first.events) == second.lines(second.events)
    assert [miss.breaks for miss in first.near_misses] == [miss.breaks for miss in second.near_misses]
    assert isinstance(rule(SEQUENCE).plan, plan.SequenceQuery)


def test_events_that_fit_each_other_s_stages_are_said_to_take_over() -> None:
    proof = proved('sequence by host.id [any where a : "x*"] [any where a : "x*" and b == "y"]')
    assert proof.status == "fires"
    assert proof.wrong == ()
    given = proved("sequence by host.id [any where true] [any where b == null]")
    assert any("opposite order" in text for text in given.taken_over)
