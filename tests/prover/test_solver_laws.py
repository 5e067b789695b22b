"""Laws of the solver over generated conditions: what it finds is so, and what it calls impossible no event fulfils."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from maxspan.engine.reference.condition import Evaluator
from maxspan.languages import plan
from maxspan.languages.eql import parse
from maxspan.languages.eql.lucene_regex import compile_regex
from maxspan.languages.eql.patterns import wildcard_test
from maxspan.prover.goals import Goal
from maxspan.prover.language import Automaton, TooLarge, find_word, wildcard
from maxspan.prover.regex_language import regex
from maxspan.prover.solve import Budget, Solved, Solver, Unsolved

FIELDS = ("a", "b", "process.args")
TEXTS = ("", "x", "X", "ab", "Ab", "abc", "a.b", "k\u212a", "\u00df", "x y", "10.0.0.1")
PATTERNS = ("*", "?", "a*", "*b", "A?c", "*x*", "??", "*.*", "?*?", "K*")
REGEXES = ("[a-c]+", "x?", ".*b.*", "(ab|x)c?", "[^x]{2,3}", "@", "<1-12>.*", "a#|b", "[A-Z][a-z]*")
NUMBERS = (0, 1, 2, 3, 2.5, -1)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quoted_list(texts: list[str]) -> str:
    return "(" + ", ".join(map(quoted, texts)) + ")"


names = st.sampled_from(FIELDS)
texts = st.sampled_from(TEXTS)
string_leaves = st.one_of(
    st.builds(lambda f, op, t: f"{f} {op} {quoted(t)}", names, st.sampled_from(["==", "!=", "<", ">="]), texts),
    st.builds(
        lambda f, op, ts: f"{f} {op} {quoted_list(ts)}",
        names,
        st.sampled_from(["in", "in~", "not in"]),
        st.lists(texts, min_size=1, max_size=3),
    ),
    st.builds(
        lambda f, op, ps: f"{f} {op} {quoted_list(ps)}",
        names,
        st.sampled_from([":", "like", "like~"]),
        st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2),
    ),
    st.builds(
        lambda f, op, p: f"{f} {op} {quoted(p)}",
        names,
        st.sampled_from(["regex", "regex~"]),
        st.sampled_from(REGEXES),
    ),
    st.builds(
        lambda fn, f, t: f"{fn}({f}, {quoted(t)})",
        st.sampled_from(["startsWith", "endsWith~", "stringContains", "stringContains~"]),
        names,
        texts,
    ),
    st.builds(
        lambda f, op, n: f"length({f}) {op} {n}", names, st.sampled_from(["==", "!=", "<", ">"]), st.integers(0, 4)
    ),
    st.builds(lambda f, op: f"{f} {op} null", names, st.sampled_from(["==", "!="])),
    st.builds(lambda fn, f, g: f"{fn}({f}, {g})", st.sampled_from(["startsWith", "endsWith"]), names, names),
)
number_leaves = st.builds(
    lambda f, op, n: f"{f} {op} {n}",
    st.sampled_from(["n", "m"]),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.sampled_from(NUMBERS),
)
leaves = st.one_of(string_leaves, string_leaves, number_leaves)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda items: "(" + " and ".join(items) + ")"),
        st.lists(inner, min_size=2, max_size=3).map(lambda items: "(" + " or ".join(items) + ")"),
        inner.map(lambda item: f"(not {item})"),
    ),
    max_leaves=12,
)


def where(text: str) -> plan.Condition:
    query = parse(f"any where {text}")
    assert isinstance(query, plan.EventQuery)
    return query.stage.where


@settings(max_examples=400)
@given(trees, st.booleans())
def test_what_is_found_is_so_and_what_is_impossible_never_is(text: str, wanted: bool) -> None:
    condition = where(text)
    found = Solver().solve([Goal(condition, wanted)], budget=Budget(seconds=5))
    evaluator = Evaluator()
    if isinstance(found, Solved):
        assert evaluator.holds(condition, found.values) is wanted
        return
    if not found.certain:
        return
    used = sorted({field.name for field in plan.fields(condition)})
    strings = [*TEXTS, "C", "ba", "abd", "a.", "zz", "1", "0", "5"]
    lists: list[list[str | int | float]] = [[], ["ab", "x"], ["abc", "X", "zz"], ["", "a.b"]]
    choices = {
        name: [[number] for number in (*NUMBERS, 1.5, 4, -2)] if name in "nm" else [*lists, *([t] for t in strings)]
        for name in used
    }
    combinations = itertools.product(*(choices[name] for name in used))
    for values in itertools.islice(combinations, 3000):
        event = dict(zip(used, values, strict=True))
        assert evaluator.holds(condition, event) is not wanted, event


@settings(max_examples=300)
@given(st.sampled_from(REGEXES), st.booleans(), st.text("abcxXkK\u212aZ19.- ", max_size=4))
def test_a_regex_as_automaton_accepts_what_re2_does(pattern: str, insensitive: bool, value: str) -> None:
    expected = compile_regex(pattern, insensitive=insensitive).fullmatch(value) is not None
    assert Automaton.of(regex(pattern, insensitive=insensitive)).accepts(value) is expected


@settings(max_examples=300)
@given(st.text("ab*?kK\u212a", max_size=6), st.booleans(), st.text("abBkK\u212a", max_size=5))
def test_a_wildcard_as_automaton_accepts_what_the_language_does(pattern: str, insensitive: bool, value: str) -> None:
    expected = wildcard_test(pattern, insensitive=insensitive)(value)
    assert Automaton.of(wildcard(pattern, insensitive=insensitive)).accepts(value) is expected


@given(
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3),
    st.lists(st.sampled_from(PATTERNS[1:]), max_size=3),
    st.lists(st.text("abcxXK.", max_size=4), max_size=30),
)
def test_a_word_lies_in_all_languages_and_in_none_of_the_others(
    inside: list[str], outside: list[str], others: list[str]
) -> None:
    def fits(value: str) -> bool:
        return all(wildcard_test(p, insensitive=False)(value) for p in inside) and not any(
            wildcard_test(p, insensitive=False)(value) for p in outside
        )

    word = find_word([Automaton.of(wildcard(p)) for p in inside], [Automaton.of(wildcard(p)) for p in outside])
    if word is None:
        assert not any(map(fits, others))
    else:
        assert fits(word)


def test_a_search_that_grows_too_large_says_so() -> None:
    inside = [Automaton.of(wildcard(f"*{letter}*")) for letter in "abcdefghijklmnop"]
    try:
        found = find_word(inside, [], limit=20000)
    except TooLarge:
        return
    raise AssertionError(found)


def test_a_budget_that_is_used_up_is_no_proof() -> None:
    choices = " and ".join(f'(a{n} == "x" or b{n} == "y")' for n in range(20))
    found = Solver().solve([Goal(where(choices))], budget=Budget(steps=3))
    assert isinstance(found, Unsolved)
    assert not found.certain
