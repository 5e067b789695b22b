"""A plan survives becoming plain values and back, spans included; other values are refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.languages import eql, plan
from maxspan.rules.plan_form import FORMS, BadForm, query_from_form, to_form

QUERIES = [
    'process where process.name : ("a*", "b?") and not ?x == null or true | head 3 | tail 1',
    'any where length(process.name) * -process.pid % 2 >= 1.5 and x in~ ("a", "b") and y in (1, 2.0, true)',
    'sequence by host.id, ?user.id with maxspan=5m [process where a regex~ "x.*"] by b with runs=2 '
    '![file where c like~ "d"] by e [any where stringContains~(f, "g")] by h until [process where i != null] by j',
    "sample by host.id [process where true] [network where a < 9223372036854775807]",
]
ENDPOINT = [
    'process where _arraysearch(a.b, $e, $e.c == 1) and descendant of [process where process.name == "x"]',
    "sequence by a [process where b == c] as event0 [file where d == event0.e]",
]


def everything(node: Any) -> str:
    """Write a plan with all its attributes; `repr` leaves the spans out."""
    if dataclasses.is_dataclass(node):
        return f"{type(node).__name__}{[everything(getattr(node, field.name)) for field in dataclasses.fields(node)]}"
    return str([everything(item) for item in node]) if isinstance(node, tuple) else repr(node)


@pytest.mark.parametrize("text", QUERIES + ENDPOINT)
def test_there_and_back(text: str) -> None:
    query = eql.parse(text, dialect="endpoint" if text in ENDPOINT else "elasticsearch")
    form = msgspec.msgpack.decode(msgspec.msgpack.encode(to_form(query)))
    back = query_from_form(form)
    assert back == query
    assert everything(back) == everything(query)


def test_every_class_of_plans_has_a_form() -> None:
    classes = {
        value
        for value in vars(plan).values()
        if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == plan.__name__
    }
    assert classes == {class_ for class_, _ in FORMS}
    for class_, letters in FORMS:
        names = [field.name for field in dataclasses.fields(class_)]
        assert len(letters) == len(names), class_
        assert ("span" in names) == letters.endswith("p")


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=7), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=30,
)


@given(value=PLAIN)
def test_other_values_are_refused_or_a_query(value: Any) -> None:
    try:
        query = query_from_form(value)
    except BadForm:
        return
    assert isinstance(query, plan.EventQuery | plan.SequenceQuery | plan.SampleQuery)


@given(number=st.integers(0, 200), value=PLAIN)
def test_a_form_with_one_thing_changed_is_refused_or_a_query(number: int, value: Any) -> None:
    form = to_form(eql.parse(QUERIES[2]))
    places: list[tuple[list[Any], int]] = []

    def collect(node: list[Any]) -> None:
        for at, item in enumerate(node):
            places.append((node, at))
            if isinstance(item, list):
                collect(item)

    collect(form)
    node, at = places[number % len(places)]
    node[at] = value
    test_other_values_are_refused_or_a_query.hypothesis.inner_test(form)  # type: ignore[attr-defined]
