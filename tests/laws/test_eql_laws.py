"""Laws of the language: printing, logic, and that nothing in an event can stop the evaluation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import maxspan
from maxspan.engine.reference.condition import Evaluator
from maxspan.errors import QueryError
from maxspan.languages import eql, plan
from maxspan.languages.eql.lucene_regex import compile_regex
from maxspan.languages.eql.patterns import wildcard_test
from maxspan.languages.eql.verify import verify
from maxspan.sources.document import flatten
from tests.laws.eql_texts import conditions, documents, sequences, texts

evaluator = Evaluator()


def holds(condition: plan.Condition, document: dict[str, Any]) -> bool:
    return evaluator.holds(condition, flatten(document))


def event_query(condition: plan.Condition) -> plan.Query:
    return verify(plan.EventQuery(plan.Stage(None, condition)))


def verified(condition: plan.Condition) -> plan.Query | None:
    """Give the normal form of a query with the condition, or None where the verifier refuses it."""
    try:
        return event_query(condition)
    except QueryError:
        return None


@given(conditions)
def test_a_printed_condition_parses_to_the_same_plan(condition: plan.Condition) -> None:
    query = verified(condition)
    if query is not None:
        assert eql.parse(eql.format_query(query)) == query


@given(sequences())
def test_a_printed_sequence_parses_to_the_same_plan(query: plan.SequenceQuery) -> None:
    try:
        normal = verify(query)
    except QueryError:
        return
    assert eql.parse(eql.format_query(normal)) == normal


@given(conditions, documents)
def test_the_normal_form_means_the_same(condition: plan.Condition, document: dict[str, Any]) -> None:
    query = verified(condition)
    if query is not None:
        assert holds(query.stages[0].where, document) == holds(condition, document)


@given(conditions, conditions, documents)
def test_logic_over_leaves_is_two_valued(a: plan.Condition, b: plan.Condition, document: dict[str, Any]) -> None:
    assert holds(plan.Not(a), document) is not holds(a, document)
    assert holds(plan.Not(plan.And((a, b))), document) == holds(plan.Or((plan.Not(a), plan.Not(b))), document)


@given(conditions, documents)
def test_a_scalar_is_a_list_of_one(condition: plan.Condition, document: dict[str, Any]) -> None:
    lists = {name: value if isinstance(value, list) else [value] for name, value in document.items()}
    assert holds(condition, document) == holds(condition, lists)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)


@given(
    sequences(),
    st.lists(st.dictionaries(st.sampled_from(["@timestamp", "event", "process", "n"]), json_values), max_size=4),
)
@example(
    plan.SequenceQuery((), (plan.Stage(None, plan.TRUE), plan.Stage(None, plan.TRUE))),
    [{"@timestamp": 10**400}, {"@timestamp": float("nan")}],
)
def test_no_event_stops_a_query(query: plan.SequenceQuery, events: list[dict[str, Any]]) -> None:
    try:
        text = eql.format_query(verify(query))
    except QueryError:
        return
    maxspan.query(text, events)


@pytest.mark.parametrize("number", [10**400, -(10**400), float("inf"), float("nan"), 2**64, -(2**63) - 1])
@pytest.mark.parametrize(
    "text",
    [
        "n % 3 == 0",
        "n / 3 == 0",
        "n + 0.5 == 0.1",
        "n * 2.5 > 1",
        "-n > 0",
        'string(n) == "1"',
        "n > 1.5",
        "n in (1, 2.5)",
    ],
)
def test_numbers_beyond_all_types(text: str, number: float) -> None:
    assert maxspan.query(f"any where {text}", [{"n": number}]) in ([], maxspan.query("any where true", [{"n": number}]))


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_with_a_place(text: str) -> None:
    try:
        eql.parse(text)
    except QueryError as error:
        assert error.code and error.message
        assert error.span is not None
        assert 0 <= error.span.start <= error.span.end <= len(text) + 1


@given(texts, texts)
def test_a_wildcard_pattern_of_a_value_matches_it(before: str, after: str) -> None:
    assert wildcard_test(f"{before}*{after}".replace("?", "?"), insensitive=True)(f"{before}xyz{after}")


@given(st.text('ab.*+?|()[]{}0,1\\"^$@#&~<>', max_size=12), st.text("ab01", max_size=6))
def test_a_lucene_pattern_is_compiled_or_refused(pattern: str, value: str) -> None:
    try:
        compiled = compile_regex(pattern, insensitive=False)
    except QueryError as error:
        assert error.code == "bad-regex"
        return
    assert isinstance(compiled.fullmatch(value) is not None, bool)
