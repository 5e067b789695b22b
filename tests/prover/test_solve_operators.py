"""Every operator and function can be made true and, by other events, false; the public `query` is the witness."""

from __future__ import annotations

import pytest

import maxspan
from maxspan.languages import plan
from maxspan.languages.eql import parse
from maxspan.prover.events import nested
from maxspan.prover.goals import Goal
from maxspan.prover.solve import Solved, Solver, Unsolved

CONDITIONS = [
    # comparisons
    'a == "x"',
    'a != "x"',
    "n == 7",
    "n != 7",
    "n > 7",
    "n >= 7 and n < 8",
    "n > 7 and n < 8",
    "n == 1.5",
    "n <= -3",
    'a < "m"',
    'a >= "m" and a < "n"',
    "flag == true",
    "flag == false",
    "flag",
    "not flag",
    "7 < n",
    # lists and patterns
    'a in ("x", "y", "z")',
    'a in ("x", "y", "z") and not a in ("x", "y")',
    'a not in ("example", "sample", "x")',
    'a in~ ("Alpha", "Beta") and a != "Alpha" and a != "Beta"',
    "n in (1, 2, 3) and n != 1 and n > 2",
    'a : "*.exe"',
    'a : ("?:\\\\Users\\\\*\\\\*.exe", "/tmp/??/*") and not a : ("?:\\\\Users\\\\example*", "/tmp/xx/*")',
    'a like "A*b?c"',
    'a like~ "A*b?c" and not a like "A*"',
    'a : "*one*" and a : "*two*" and a : "*three*"',
    'a : "*a*" and not a : ("*a", "a*", "*b*")',
    'a regex "[24][0-9]{3}"',
    'a regex~ "(cmd|powershell)\\\\.exe" and not a : "cmd*"',
    'a regex ("<10-31>", "x+y?")',
    'a regex "\\\\.[a-z]{3,5}" and not a like "*e*" and not a like "*a*"',
    # null and lists of values
    "a == null",
    "a != null",
    'a == null or b == "x"',
    "?missing == null",
    'process.args == "one" and process.args == "two" and process.args : "t*e"',
    'process.args : "*" and not process.args : ("a*", "e*", "s*", "x*")',
    # functions
    "length(a) == 3",
    "length(a) > 50",
    "length(a) != 3",
    'length(a) >= 12 and a : "*.sh"',
    'length(a) < 6 and a : "*.sh"',
    'startsWith(a, "ab") and endsWith(a, "yz")',
    'startsWith~(a, "AB") and not startsWith(a, "AB")',
    'endsWith~(a, ".EXE")',
    'stringContains(a, "x=1") and stringContains(a, "y=2")',
    'not stringContains~(a, "ex") and a != null',
    'startsWith("explorer.exe", a) and a != null',
    "startsWith(a, b)",
    'endsWith(a, b) and a : "*z"',
    'stringContains(a, b) and b == "mid"',
    "startsWith~(string(a), string(n))",
    'indexOf(a, "x") == 3',
    'indexOf(a, "x") > 3',
    'indexOf(a, "x") == null and a != null',
    'indexOf(a, "x", 2) == 5',
    'between(a, "<", ">") == "tag"',
    'between(a, "<", ">") != null',
    'substring(a, 2) == "cd"',
    'substring(a, 0, 3) == "abc"',
    'substring(a, -3) == "abc"',
    'endsWith(substring(a, 0, length(a) - 1), b) and b : "q*"',
    'concat(a, "-", b) == "left-right"',
    'concat(a, ":x") == "y:x"',
    'concat(a, b) == "hello" and length(a) == 2',
    'concat(a, "/", b) == "x/y/z" and b == "z"',
    'concat(n, "!") == "5!"',
    "number(a) == 255",
    'number(a, 16) == 255 and a != "0xff"',
    "number(a) > 10",
    'string(n) == "12"',
    'string(flag) == "true"',
    "add(n, 3) == 10",
    "n + 3 == 10",
    "subtract(n, 3) == 10",
    "10 - n == 3",
    "multiply(n, 3) == 12",
    "n * 2 > 9",
    "divide(n, 2) == 41",
    "n / 2 == 41 and n != 82",
    "modulo(n, 5) == 3",
    "n % 5 == 3 and n > 10",
    "-n == 4",
    "n + m == 10",
    "length(a) + length(b) == 9",
    'cidrMatch(ip, "10.0.0.0/8")',
    'cidrMatch(ip, "10.0.0.0/8", "192.168.0.0/16") and not cidrMatch(ip, "10.0.0.0/9", "192.168.0.0/16")',
    'not cidrMatch(ip, "10.0.0.0/8", "127.0.0.0/8", "192.0.0.0/8", "8.0.0.0/8", "::/0") and ip != null',
    'cidrMatch(ip, "2001:db8::/32") and ip != "2001:db8::a"',
    'cidrMatch(ip, "10.0.0.0/8") == false',
    # the tree
    '(a == "x" or b == "y") and not (a == "x" and b == "y")',
    'a == "x" and (b == "y" or n > 3) and not (b == "y" or n > 9)',
    'not (a == "x" or not (b == "y" and n == 1))',
    '(a == "1" or a == "2") and (a == "2" or a == "3") and (a == "3" or b == "4") and (b != "4" or n == 9)',
    'a in ("p", "q") and (a != "p" or b == "r") and not (a == "q" and c == null) and not c == "s"',
    "null == (n > 3)",
    "(n > 3) == false",
]


def where(text: str) -> plan.Condition:
    query = parse(f"any where {text}")
    assert isinstance(query, plan.EventQuery)
    return query.stage.where


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_condition_can_be_made_true(text: str) -> None:
    found = Solver().solve([Goal(where(text))])
    assert isinstance(found, Solved), found
    assert len(maxspan.query(f"any where {text}", [nested(found.values)])) == 1, found.values


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_condition_can_be_made_false(text: str) -> None:
    found = Solver().solve([Goal(where(text), False)])
    assert isinstance(found, Solved), found
    assert maxspan.query(f"any where {text}", [nested(found.values)]) == [], found.values


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_change_starts_from_what_was_there(text: str) -> None:
    true = Solver().solve([Goal(where(text))])
    assert isinstance(true, Solved)
    others: dict[str, list[str | int | float | bool]] = {"other.field": ["stays"]}
    false = Solver().solve([Goal(where(text), False)], prefer={**true.values, **others})
    assert isinstance(false, Solved)
    assert false.values["other.field"] == ["stays"]
    assert maxspan.query(f"any where {text}", [nested(false.values)]) == []


@pytest.mark.parametrize(
    "text",
    [
        'a == "x" and not a == "x"',
        'a == "x" and a == null',
        'a in ("x", "y") and not a : ("X", "y*")',
        'a : "*.exe" and not a : "*e"',
        'a == "Example" and not a : "example"',
        'a regex "[0-9]+" and not a regex "[0-9]*"',
        'a regex "[a-c]{2}" and not a like ("?a", "?b", "?c")',
        "n > 5 and not n >= 5",
        'not length(a) >= 10 and a : "??????????*"',
        "length(a) < 3 and not length(a) in (0, 1, 2) and not length(a) <= 2",
        '(a == "x" or a == "y") and not a in ("x", "y", "z")',
        'startsWith(a, "abc") and not a : "a*"',
        'cidrMatch(ip, "10.0.0.0/8") and not cidrMatch(ip, "0.0.0.0/0")',
        'ip == "10.0.0.1" and not cidrMatch(ip, "10.0.0.0/24")',
        'process.args == "x" and not process.args : "*x*"',
        "flag == true and not flag == true",
    ],
)
def test_a_contradiction_is_certain(text: str) -> None:
    found = Solver().solve([Goal(where(text))])
    assert isinstance(found, Unsolved)
    assert found.certain
    assert found.conflict.goals


@pytest.mark.parametrize(
    "text",
    [
        'length(a) == 3 and length(a) == 4 and length(b) - length(a) == 2 and b == "z"',
        "n % 7 == 9",
        'between(a, "<", ">") == "x>"',
    ],
)
def test_what_is_not_found_is_not_called_impossible_without_proof(text: str) -> None:
    found = Solver().solve([Goal(where(text))])
    assert isinstance(found, Unsolved)
    assert not found.certain


def test_a_length_counts_units_and_a_question_mark_characters() -> None:
    found = Solver().solve([Goal(where('length(a) > 9 and not a : "??????????*"'))])
    assert isinstance(found, Solved)
    assert maxspan.evaluate("length(a)", found.values) == 10


def test_several_values_are_used_only_when_one_will_not_do_and_are_named() -> None:
    found = Solver().solve([Goal(where('process.name == "a" and process.name == "b"'))])
    assert isinstance(found, Solved)
    assert found.several == ("process.name",)
    assert found.values["process.name"] == ["a", "b"]
    usual = Solver().solve([Goal(where('process.args == "a" and process.args == "b"'))])
    assert isinstance(usual, Solved)
    assert usual.several == ()
