"""Where a problem stands in its file: line, column and the text underlined, through all that TOML can do to a text."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.rules.positions import in_string, places
from tests.rules.writing import only_problem, parsed, toml_rule, underlined


def test_an_error_in_a_literal_multi_line_query() -> None:
    text = toml_rule("sequence by host.id\n  [process where nmae ==]\n  [process where true]")
    problem = only_problem(parsed(text))
    line = text.split("\n").index("  [process where nmae ==]") + 1
    assert (problem.line, problem.excerpt) == (line, "  [process where nmae ==]")
    assert problem.column == problem.excerpt.index("]") + 1
    assert problem.rule_id == "rule-1"


@pytest.mark.parametrize(
    "query",
    [
        'query = "process where foo(1)"',
        "query = 'process where foo(1)'",
        'query = """process where foo(1)"""',
        'query = """\nprocess where foo(1)\n"""',
        "query = '''\n\n  process where foo(1)'''",
        'query="process\\twhere\\u0020foo(1)"',
        'query = """\nprocess \\\n     where foo(1)"""',
        '"query" = "process where foo(1)"',
        'query   =   "/* \\" \\\\ \\U0001F600 */ process where foo(1)"',
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_form_of_string_leads_to_the_same_word(query: str, newline: str, mark: bytes) -> None:
    from maxspan.rules.parse import parse

    text = f'[rule]\nrule_id = "a"\nname = "b"\ntype = "eql"\n{query}\n'
    problem = only_problem(parse(mark + text.replace("\n", newline).encode(), "r.toml"))
    assert problem.code == "unknown-function"
    assert problem.excerpt == text.split("\n")[problem.line - 1]
    assert underlined(problem).startswith("foo")


def test_inline_tables_and_dotted_keys_are_no_obstacle() -> None:
    text = 'rule = { rule_id = "a", name = "b", type = "eql", query = "process where foo(1)" }\n'
    problem = only_problem(parsed(text))
    assert (problem.code, problem.line) == ("unknown-function", 1)
    dotted = 'rule.rule_id = "a"\nrule.name = "b"\nrule.type = "eql"\nrule.query = "process where foo(1)"\n'
    problem = only_problem(parsed(dotted))
    assert (problem.line, underlined(problem)[:3]) == (4, "foo")


def test_arrays_of_tables_are_told_apart() -> None:
    threat = '[[rule.threat]]\nframework = "MITRE ATT&CK"\n[rule.threat.tactic]\nid = "{}"\nname = "Execution"\n'
    text = toml_rule(tail=threat.format("TA0002") + threat.format("TA9999"))
    problem = only_problem(parsed(text))
    assert (problem.code, underlined(problem)) == ("unknown-attack-id", '"TA9999"')
    assert text.split("\n")[problem.line - 1] == 'id = "TA9999"'


CHARACTERS = st.characters(exclude_categories=("Cs", "Cc"))
TEXTS = st.text(st.one_of(CHARACTERS, st.sampled_from("\n\t\"'\\ab #]}=")), max_size=40)


def basic(text: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(character, character) for character in text) + '"'


def multi_line_basic(text: str) -> str:
    return '"""\n' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""'


@given(
    text=TEXTS, before=st.lists(st.tuples(st.sampled_from("abc"), TEXTS), max_size=3, unique_by=lambda pair: pair[0])
)
def test_a_character_of_the_value_is_found_in_the_file(text: str, before: list[tuple[str, str]]) -> None:
    """For each way to write a text, the place of its n-th character holds that character or an escape of it."""
    lead = "".join(f"{name} = {basic(value)} # '''\n" for name, value in before)
    for written in (basic(text), multi_line_basic(text)):
        document = f"{lead}[rule]\nquery = {written}\nafter = 1\n"
        assert tomllib.loads(document)["rule"] == {"query": text, "after": 1}
        found = places(document)
        place = found[("rule", "query")]
        assert document[place.value : place.value_end] == written
        assert document[place.key : place.key_end] == "query"
        assert set(found) == {*((name,) for name, _ in before), ("rule",), ("rule", "query"), ("rule", "after")}
        for number, character in enumerate(text):
            at = in_string(document, place.value, number)
            assert document[at] == (character if document[at] != "\\" else "\\")
            assert document[at] != "\\" or character in '\\"\n\t'
        end = in_string(document, place.value, len(text))
        assert document[end] == '"' and end in (place.value_end - 1, place.value_end - 3)


@given(text=st.text(st.one_of(CHARACTERS, st.just("\n")), max_size=40).filter(lambda text: "'" not in text))
def test_literal_strings_too(text: str) -> None:
    document = f"query = '''\n{text}'''\n"
    assert tomllib.loads(document)["query"] == text
    place = places(document)[("query",)]
    start = in_string(document, place.value, 0)
    assert document[start : start + len(text)] == text


@given(indent=st.integers(0, 8), lines=st.lists(st.sampled_from(["", "  // a note", "\t/* x */"]), max_size=5))
def test_the_line_of_a_wrong_word_is_the_line_in_the_file(indent: int, lines: list[str]) -> None:
    query = "\n".join([*lines, " " * indent + "process where wrong(process.name)"])
    text = toml_rule(query)
    problem = only_problem(parsed(text))
    assert text.split("\n")[problem.line - 1] == problem.excerpt == " " * indent + "process where wrong(process.name)"
    assert problem.column == indent + len("process where ") + 1
    assert underlined(problem).startswith("wrong")
