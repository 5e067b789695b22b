"""Nested documents, what several have in common, and how they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.alerts.encode import to_json, to_safe_json
from maxspan.alerts.fields import MAX_DEPTH, leaves, nested
from maxspan.alerts.intersection import intersection
from maxspan.alerts.printable import is_plain, printable
from maxspan.sources.document import flatten


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"a.b": 1}, {"a": {"b": 1}}),
        ({"a": {"b.c": 1}, "a.b.d": 2}, {"a": {"b": {"c": 1, "d": 2}}}),
        ({"a": [{"b.c": 1}]}, {"a": [{"b": {"c": 1}}]}),
        ({"a": 1, "a.b": 2}, {"a": 1, "a.b": 2}),
        ({"a.b": 2, "a": 1}, {"a": 1, "a.b": 2}),
        ({".a": 1, "b.": 2, "c..d": 3, ".": 4}, {".a": 1, "b.": 2, "c..d": 3, ".": 4}),
    ],
)
def test_dotted_keys_become_objects(given_: dict[str, Any], expected: dict[str, Any]) -> None:
    assert nested(given_) == expected


NAMES = st.sampled_from(["a", "b", "c", "a.b", "b.c", "a.b.c"])
VALUES = st.recursive(
    st.integers(0, 3) | st.text(max_size=2) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)


@given(DOCUMENTS)
def test_nesting_changes_no_value(document: dict[str, Any]) -> None:
    before, after = flatten(document), flatten(nested(document))
    assert {name: sorted(map(repr, values)) for name, values in before.items()} == {
        name: sorted(map(repr, values)) for name, values in after.items()
    }


def test_a_document_of_any_depth_can_be_nested_and_encoded() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    shaped = nested(deep)
    assert list(flatten(shaped).values()) == [[1]]
    assert to_json(shaped)
    wide = nested({".".join("a" * (MAX_DEPTH * 2)): 1})
    assert list(leaves(wide)) == [(".".join("a" * (MAX_DEPTH * 2)), 1)]


def test_what_documents_have_in_common() -> None:
    one = {"a": 1, "b": {"c": "x", "d": 1}, "l": [1, 2, 2], "s": "x", "t": True, "o": [{"k": 1}], "n": None}
    two = {"a": 1, "b": {"c": "x", "d": 2}, "l": [2, 3], "s": ["x", "y"], "t": 1, "o": [{"k": 1}], "n": None}
    assert intersection([one, two]) == {"a": 1, "b": {"c": "x"}, "l": [2], "s": ["x"], "o": [], "n": None}
    assert intersection([{"a": {"b": 1}}, {"a": {"b": 2}}]) == {}
    assert intersection([]) == {}
    assert intersection([one]) == one


@given(DOCUMENTS, DOCUMENTS)
def test_what_is_in_common_is_in_both(one: dict[str, Any], two: dict[str, Any]) -> None:
    one, two = nested(one), nested(two)
    shared = flatten(intersection([one, two]))
    for document in (flatten(one), flatten(two)):
        for name, values in shared.items():
            assert all(value in document[name] for value in values)


@given(DOCUMENTS)
def test_a_document_has_itself_in_common(document: dict[str, Any]) -> None:
    same = flatten(intersection([nested(document), nested(document)]))
    assert all(set(map(repr, values)) <= set(map(repr, flatten(document)[name])) for name, values in same.items())


@pytest.mark.parametrize("value", [10**400, -(10**30), float("nan"), float("inf"), "\ud800", "a\udfffb"])
def test_what_json_cannot_say_is_still_written(value: Any) -> None:
    for encode in (to_json, to_safe_json):
        written = json.loads(encode({"v": value}))["v"]
        if isinstance(value, str):
            assert written == value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        else:
            assert written == (value if isinstance(value, int) else None)


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_safe_json_is_plain_and_means_the_same(document: dict[str, Any]) -> None:
    written = to_safe_json(document)
    assert is_plain(written.decode())
    assert json.loads(written) == document


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain ü 日本 🐚", "plain ü 日本 🐚"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eexe.txt", "a\\u202eexe.txt"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\nbreak\r\ttab", "line\\nbreak\\r\\ttab"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\u3164", "\\u3164"),
        ("a" + "\u0301" * 9, "a" + "\u0301" * 3 + "…"),
    ],
)
def test_what_could_fool_a_terminal_is_escaped(text: str, safe: str) -> None:
    assert printable(text) == safe


@given(st.text())
def test_printable_text_is_plain(text: str) -> None:
    assert is_plain(printable(text))
    assert printable(printable(text)) == printable(text)
