"""Folders, globs and files of every kind: what can be read is read, and for the rest it is said why not."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.rules import files
from maxspan.rules.load import load_rules
from tests.rules.writing import codes, kibana_rule, only_problem, only_rule, toml_rule, underlined, write


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(tmp_path / "b" / "2.toml", toml_rule(id_="b2"))
    write(tmp_path / "b" / "1.TOML", toml_rule(id_="b1"))
    write(tmp_path / "a.ndjson", kibana_rule(rule_id="a"))
    write(tmp_path / ".git" / "x.toml", toml_rule(id_="hidden"))
    write(tmp_path / "README.md", "# no rule")
    return tmp_path


def ids(paths: object) -> list[str]:
    return [rule.id for rule in load_rules(paths)]  # type: ignore[arg-type]


def test_files_folders_globs_and_several(tree: Path) -> None:
    assert ids(tree) == ["a", "b1", "b2"]
    assert ids(str(tree / "b" / "2.toml")) == ["b2"]
    assert ids(str(tree / "**" / "*.toml")) == ["b2"]
    assert ids(str(tree / "*")) == ["a", "b1", "b2"]
    assert ids([tree / "b" / "2.toml", tree]) == ["b2", "a", "b1"]
    assert ids([tree, tree]) == ["a", "b1", "b2"]
    assert load_rules(tree).files == 3


@pytest.mark.parametrize("path", ["nothing", "no/*.toml", "a\0b", ""])
def test_a_path_that_leads_nowhere_is_an_error(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    problem = only_problem(load_rules(path))
    assert (problem.code, problem.severity) == ("rule-file-missing", "error")
    assert problem.hint


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    assert codes(load_rules(tmp_path)) == ["rule-file-missing"]


def test_loops_of_links_end_and_linked_rules_are_found(tmp_path: Path) -> None:
    write(tmp_path / "real" / "r.toml", toml_rule())
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "again").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    (folder / "gone.toml").symlink_to(tmp_path / "nothing")
    (folder / "round.toml").symlink_to(folder / "round.toml")
    ruleset = load_rules(folder)
    assert [rule.id for rule in ruleset] == ["rule-1"]
    assert codes(ruleset) == ["rule-file-unreadable", "rule-file-unreadable"]


def test_a_folder_that_cannot_be_opened_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    ruleset = load_rules(tree)
    assert [rule.id for rule in ruleset] == ["a"]
    assert "Permission denied" in only_problem(ruleset).message


def test_a_very_deep_folder(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(900):
        deep = deep / "d"
    os.makedirs(deep)  # noqa: PTH103 - Path.mkdir recurses
    write(deep / "r.toml", toml_rule())
    assert ids(tmp_path) == ["rule-1"]


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    write(tmp_path / "r.toml", toml_rule())
    ruleset = load_rules(tmp_path)
    assert [rule.id for rule in ruleset] == ["rule-1"]
    assert "no regular file" in only_problem(ruleset).message
    assert "no regular file" in only_problem(load_rules("/dev/zero")).message


HOSTILE: dict[str, tuple[str, bytes, str, str]] = {
    "binary": ("x.toml", b"\x7fELF\x02\x01\x01\0\0\xff\xfe", "rule-file-not-text", "binary"),
    "latin 1": ("x.toml", 'name = "é"'.encode("latin-1"), "rule-file-not-text", "UTF-8"),
    "utf-16": ("x.toml", toml_rule().encode("utf-16"), "rule-file-not-text", "UTF-8"),
    "NUL": ("x.toml", toml_rule(head='note = "a\0b"').encode(), "rule-file-syntax", "line 9|broken"),
    "open string": ("x.toml", b'[rule]\nname = "x\n', "rule-file-syntax", "broken"),
    "open multi-line string": ("x.toml", b"[rule]\nquery = '''\nx\n", "rule-file-syntax", "broken"),
    "same key twice": ("x.toml", b"[rule]\na = 1\na = 2\n", "rule-file-syntax", "broken"),
    "deep list": ("x.toml", b"a = " + b"[" * 100_000, "rule-file-syntax", "too deep"),
    "deep inline table": ("x.toml", b"a = " + b"{a=" * 50_000, "rule-file-syntax", "too deep"),
    "deep JSON": ("x.json", b"[" * 200_000, "rule-file-syntax", "too deep|broken"),
    "deep JSON in a rule": ("x.json", b'{"rule_id": ' + b'{"a":' * 100_000, "rule-file-syntax", "too deep|broken"),
    "half JSON": ("x.json", b'{"rule_id": "x", ', "rule-file-syntax", "broken"),
    "large TOML": ("x.toml", b"# " + b"x" * (5 << 20), "rule-file-too-large", "4 MiB"),
    "empty": ("x.toml", b"", "no-rule", "holds no rule"),
    "other TOML": ("x.toml", b"[tool]\na = 1\n", "no-rule", "holds no rule"),
    "other JSON": ("x.json", b'{"a": 1}', "no-rule", "holds no rule"),
    "JSON of numbers": ("x.ndjson", b"1\n2\n", "no-rule", "holds no rule"),
    "endless unknown keys": (
        "x.json",
        b'{"rule_id":"a","name":"b","type":"eql","query":"any where true",'
        + b",".join(b'"interva%d":1' % number for number in range(100_000))
        + b"}",
        "too-many-problems",
        "500",
    ),
    "deep query": ("x.toml", toml_rule("process where " + "(" * 50_000).encode(), "too-deep", "nest"),
    "deep not": ("x.toml", toml_rule("process where " + "not " * 50_000 + "true").encode(), "too-deep", "nest"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_give_clear_errors_and_stop_nothing(name: str, tmp_path: Path) -> None:
    file, data, code, message = HOSTILE[name]
    write(tmp_path / "0.toml", toml_rule(id_="first"))
    path = write(tmp_path / file, data)
    write(tmp_path / "z.toml", toml_rule(id_="last"))
    ruleset = load_rules([tmp_path / "0.toml", path, tmp_path / "z.toml"])
    runnable = [rule.id for rule in ruleset.runnable]
    assert runnable == ["first", "last"]
    problem, *others = ruleset.problems
    assert problem.severity == "error" and problem.path == str(path)
    assert problem.code == code and len(others) == (50 if code == "too-many-problems" else 0)
    assert any(part in problem.render() for part in message.split("|"))
    assert len(problem.render()) < 5_000


def test_files_of_other_things_in_a_folder_are_only_worth_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "package.json", {"name": "x"})
    write(tmp_path / "r.toml", toml_rule())
    assert [(problem.code, problem.severity) for problem in load_rules(tmp_path).problems] == [("no-rule", "warning")]


def test_a_file_that_grew_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_SIZE_BYTES", 100)
    assert codes(load_rules(write(tmp_path / "r.toml", toml_rule()))) == ["rule-file-too-large"]


class TestDuplicates:
    def test_the_first_runs_and_the_second_is_named_with_its_place(self, tmp_path: Path) -> None:
        write(tmp_path / "1.toml", toml_rule(name="One"))
        write(tmp_path / "2.toml", toml_rule(name="Two", query="any where true"))
        ruleset = load_rules(tmp_path)
        assert [rule.name for rule in ruleset.runnable] == ["One"]
        problem = only_problem(ruleset)
        assert (problem.code, problem.severity, underlined(problem)) == ("duplicate-id", "warning", '"rule-1"')
        assert "another query" in problem.message and problem.path.endswith("2.toml")
        assert "One" in only_rule_named(ruleset, "Two").not_runnable

    def test_one_that_cannot_run_does_not_keep_the_other_from_running(self, tmp_path: Path) -> None:
        write(tmp_path / "1.toml", toml_rule("process where", name="Broken"))
        write(tmp_path / "2.toml", toml_rule(name="Sound"))
        ruleset = load_rules(tmp_path)
        assert [rule.name for rule in ruleset.runnable] == ["Sound"]
        assert "duplicate-id" in codes(ruleset)

    def test_in_an_export_the_line_is_told(self, tmp_path: Path) -> None:
        import json

        line = json.dumps(kibana_rule())
        problem = only_problem(load_rules(write(tmp_path / "x.ndjson", f"{line}\n{line}\n")))
        assert (problem.code, problem.line) == ("duplicate-id", 2)


def only_rule_named(ruleset: object, name: str) -> object:
    (rule,) = [rule for rule in ruleset if rule.name == name]  # type: ignore[attr-defined]
    return rule


BAD = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    st.text(st.sampled_from("[]{}='\"\n.#\\abc01 "), max_size=60).map(str.encode),
    st.tuples(st.integers(0, 250), st.binary(max_size=3)).map(
        lambda cut: toml_rule().encode()[: cut[0]] + cut[1] + toml_rule().encode()[cut[0] :]
    ),
)


@given(bad=st.lists(BAD, min_size=1, max_size=4), suffix=st.sampled_from(["toml", "json", "ndjson"]))
def test_one_bad_file_never_stops_the_rest(bad: list[bytes], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "000.toml", toml_rule(id_="first-good"))
        for number, data in enumerate(bad):
            write(folder / f"{number + 1:03}.{suffix}", data)
        write(folder / "zzz.toml", toml_rule(id_="last-good", query="any where true"))
        ruleset = load_rules(folder)
        assert {"first-good", "last-good"} <= {rule.id for rule in ruleset.runnable}
        told = {problem.path for problem in ruleset.problems} | {rule.path for rule in ruleset}
        assert told == {str(path) for path in folder.iterdir()}
        for problem in ruleset.problems:
            assert problem.code and problem.message and problem.render()


@given(query=st.text(st.sampled_from("process where ()[]=!<>:\"'~,|.0`?sequencebyuntil\n"), max_size=80))
def test_a_query_of_any_letters_is_a_plan_or_an_error_with_a_place(query: str) -> None:
    from tests.rules.writing import parsed

    if "'''" in query or query.endswith("'"):
        return
    text = toml_rule(query)
    contents = parsed(text)
    rule = only_rule(contents)
    errors = [problem for problem in contents.problems if problem.severity == "error"]
    assert rule.runnable is not bool(errors)
    for problem in errors:
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.excerpt == text.split("\n")[problem.line - 1]
        assert 1 <= problem.column <= len(problem.excerpt) + 3
