"""Generators of EQL plans and of events that they meet, for the laws of the language and of the engines."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from maxspan.languages import plan

NAMES = ("process.name", "process.args", "process.pid", "user.id", "host.id", "odd-name", "sequence", "n")
WORDS = ("bash", "Bash", "sh", "", "a*b", "*", "ä", "ß", "İ", "\U0001f600", 'quo"te', "back\\slash", "new\nline", "1")

texts = st.one_of(
    st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
)
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63 - 1, -(2**63), 2**64 - 1]),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
constants = st.one_of(texts, numbers, st.booleans())
fields = st.builds(plan.Field, st.sampled_from(NAMES), st.booleans())


def literals(values: st.SearchStrategy[Any]) -> st.SearchStrategy[plan.Literal]:
    return st.builds(plan.Literal, values)


_calls = st.one_of(
    st.builds(lambda f: plan.Call("length", (f,)), fields),
    st.builds(lambda f, n: plan.Call("concat", (f, n)), fields, literals(texts)),
    st.builds(
        lambda f, b, e: plan.Call("substring", (f, b, e)),
        fields,
        literals(st.integers(-3, 3)),
        literals(st.integers(-3, 3)),
    ),
    st.builds(lambda f, t, i: plan.Call("indexOf", (f, t), i), fields, literals(texts), st.booleans()),
    st.builds(lambda f: plan.Call("string", (f,)), fields),
    st.builds(lambda f, op, n: plan.Arithmetic(op, f, n), fields, st.sampled_from("+-*/%"), literals(numbers)),
)
_tests = st.builds(
    lambda name, f, t, i: plan.Call(name, (f, t), i),
    st.sampled_from(["startsWith", "endsWith", "stringContains"]),
    fields,
    literals(texts),
    st.booleans(),
)
_operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_lists = st.lists(texts, min_size=1, max_size=3).map(tuple)
leaves = st.one_of(
    st.builds(plan.Comparison, _operators, st.one_of(fields, _calls), literals(constants)),
    st.builds(plan.IsNull, st.one_of(fields, _calls), st.booleans()),
    st.builds(plan.Like, fields, _lists, st.sampled_from([":", "like", "like~"])),
    st.builds(
        plan.Regex,
        fields,
        st.lists(st.sampled_from(["ba.*", "(a|b)+", "[^a]", "sh", ".{1,3}"]), min_size=1, max_size=2).map(tuple),
        st.booleans(),
    ),
    st.builds(plan.In, fields, st.lists(literals(constants), min_size=1, max_size=3).map(tuple)),
    st.builds(plan.In, fields, st.lists(literals(texts), min_size=1, max_size=3).map(tuple), st.just(True)),
    _tests,
)


def _negation(item: plan.Condition) -> plan.Condition:
    return plan.Not(item)


conditions: st.SearchStrategy[plan.Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda items: plan.And(tuple(items)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda items: plan.Or(tuple(items)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(_negation, inner),
    ),
    max_leaves=6,
)

_scalars = st.one_of(texts, numbers, st.booleans(), st.none())
_values = st.one_of(_scalars, st.lists(_scalars, max_size=3))
documents = st.dictionaries(st.sampled_from(NAMES), _values, max_size=5)


@st.composite
def sequences(draw: st.DrawFn) -> plan.SequenceQuery:
    """Draw a sequence of two or three stages, with what may stand in one."""
    by = draw(st.lists(fields, max_size=2, unique_by=lambda field: field.name).map(tuple))
    own = draw(st.integers(0, 1))
    maxspan = draw(st.sampled_from([None, 1_000_000, 5_000_000_000, 60_000_000_000]))
    stage = st.builds(
        lambda category, where, keys, runs: plan.Stage(category, where, keys, False, runs),
        st.sampled_from([None, "a", "b", "my-cat"]),
        conditions,
        st.lists(fields, min_size=own, max_size=own).map(tuple),
        st.sampled_from([1, 1, 1, 2]),
    )
    stages = draw(st.lists(stage, min_size=2, max_size=3))
    if maxspan is not None and draw(st.booleans()):
        index = draw(st.integers(0, len(stages)))
        missing = draw(stage)
        stages.insert(index, plan.Stage(missing.category, missing.where, missing.by, True, 1))
    until = draw(st.none() | stage.map(lambda one: plan.Stage(one.category, one.where, one.by)))
    pipes = draw(st.lists(st.builds(plan.Pipe, st.sampled_from(["head", "tail"]), st.integers(0, 9)), max_size=2))
    return plan.SequenceQuery(by, tuple(stages), maxspan, until, tuple(pipes))
