"""Laws over generated sequences and samples: what is proved is so by the public query, and expectations hold."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

import maxspan
from maxspan.prover.prove import prove
from tests.prover.rules_of_our_own import rule

CONDITIONS = ('a == "x"', 'a : "x*"', 'a != "x"', 'b in ("p", "q")', "n > 3", "true", 'k == "x"', "b != null")
CATEGORIES = ("process", "file", "any")


def stage(category: str, condition: str, runs: int = 1) -> str:
    return f"[{category} where {condition}]" + (f" with runs={runs}" if runs > 1 else "")


stages = st.builds(stage, st.sampled_from(CATEGORIES), st.sampled_from(CONDITIONS), st.sampled_from([1, 1, 1, 2, 3]))
absent = st.builds(lambda c, w: f"![{c} where {w}]", st.sampled_from(CATEGORIES), st.sampled_from(CONDITIONS))
by = st.sampled_from(["", " by k", " by k, host.id", " by ?k"])


@st.composite
def sequences(draw: st.DrawFn) -> str:
    parts = draw(st.lists(stages, min_size=2, max_size=4))
    span = draw(st.sampled_from(["", " with maxspan=5s", " with maxspan=10ms", " with maxspan=1h"]))
    if span and draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), draw(absent))
    until = draw(st.sampled_from(["", "", " until [session where true]", ' until [any where b == "stop"]']))
    return f"sequence{draw(by)}{span} {' '.join(parts)}{until}"


samples = st.builds(
    lambda keys, parts: f"sample by {keys} {' '.join(parts)}",
    st.sampled_from(["k", "k, host.id", "?k"]),
    st.lists(st.builds(stage, st.sampled_from(CATEGORIES), st.sampled_from(CONDITIONS)), min_size=2, max_size=3),
)


@settings(max_examples=100)
@given(st.one_of(sequences(), sequences(), samples))
def test_what_is_proved_is_so_and_near_misses_are_as_expected(query: str) -> None:
    proof = prove(rule(query), limit_seconds=5)
    event(proof.status)
    if proof.status != "fires":
        return
    assert proof.wrong == (), [miss.breaks for miss in proof.wrong]
    assert len(maxspan.query(query, proof.lines(proof.events).splitlines())) == proof.matches
    for miss in proof.near_misses:
        assert maxspan.query(query, proof.lines(miss.events).splitlines()) == []
