"""`maxspan rules prove` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from maxspan.cli.rules_prove import command

RULE = """
[rule]
rule_id = "{id}"
name = "{name}"
description = "x"
risk_score = 21
severity = "low"
type = "{type}"
language = "{language}"
index = ["logs-endpoint.events.*"]
query = '''
{query}
'''
"""


def write(folder: Path, name: str, query: str, *, type_: str = "eql", language: str = "eql") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(RULE.format(id=f"id-{name}", name=f"Rule {name}", query=query, type=type_, language=language))
    return path


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    write(folder, "good", 'process where process.name == "nc" and process.args : "-e*"')
    write(folder, "never", 'process where process.name == "nc" and not process.name : "NC"')
    write(folder, "sequence", 'sequence by host.id with maxspan=1m [process where a == "x"] [file where b == "y"]')
    write(folder, "other", "FROM logs | LIMIT 1", type_="esql", language="esql")
    return folder


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(command, [str(arg) for arg in args])


def test_the_table_says_which_rules_fire_and_what_is_nearest(rules: Path) -> None:
    result = run(rules)
    assert result.exit_code == 0, result.output
    good = next(line for line in result.stdout.splitlines() if line.startswith("Rule good"))
    assert "fires on 1 event" in good
    assert " -> " in good
    never = next(line for line in result.stdout.splitlines() if line.startswith("Rule never"))
    assert "impossible" in never
    assert "2 of 3 rules can fire; 1 cannot; 0 not proved" in result.stderr
    assert "rules that cannot run here and were not tried: 1" in result.stderr


def test_documents(rules: Path) -> None:
    lines = [json.loads(line) for line in run(rules, "--format", "ndjson").stdout.splitlines()]
    assert {line["rule_id"]: line["status"] for line in lines} == {
        "id-good": "fires",
        "id-never": "impossible",
        "id-sequence": "fires",
    }
    whole = json.loads(run("-r", rules, "--format", "json").stdout)
    assert [one["rule_id"] for one in whole] == [one["rule_id"] for one in lines]
    assert whole[0]["nearest"]["changes"]


def test_one_rule_by_id_or_name(rules: Path) -> None:
    for text in ("id-good", "rule GOOD"):
        (line,) = run(rules, "--rule", text, "--format", "ndjson").stdout.splitlines()
        assert json.loads(line)["rule_id"] == "id-good"
    for text, said in (("nothing", "there is no rule"), ("id-other", "cannot run")):
        result = run(rules, "--rule", text)
        assert result.exit_code == 2
        assert said in result.stderr


def test_emitted_events(rules: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(rules, "--emit", out)
    assert result.exit_code == 0
    assert {path.name for path in out.iterdir()} == {"id-good", "id-never", "id-sequence"}
    assert len((out / "id-sequence" / "fires.ndjson").read_bytes().splitlines()) == 2
    assert (out / "id-never" / "index.json").exists()


def test_variants(rules: Path, tmp_path: Path) -> None:
    write(rules, "lists", 'process where process.name in ("nc", "ncat") and not user.id in ("0", "1", "2")')
    result = run(rules, "--rule", "id-lists", "--variants", "--emit", tmp_path, "--format", "ndjson")
    assert json.loads(result.stdout)["variants"] == 5
    index = json.loads((tmp_path / "id-lists" / "index.json").read_text())
    assert [one["fires"] for one in index["variants"]].count(True) == 2
    assert all((tmp_path / "id-lists" / one["file"]).exists() for one in index["variants"])
    assert "5 variants" in result.stderr


def test_exit_status(rules: Path, tmp_path: Path) -> None:
    assert run(rules, "--fail-on-unproved").exit_code == 1
    assert run(rules, "--rule", "id-good", "--fail-on-unproved").exit_code == 0
    write(rules, "broken", "process where process.name = 1")
    result = run(rules)
    assert result.exit_code == 2
    assert "broken.toml" in result.stderr
    assert "Rule good" in result.stdout
    assert run(tmp_path / "nowhere").exit_code == 2


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    path = write(tmp_path, "x", 'process where a == "\\u001b[2J"')
    path.write_text(path.read_text().replace("Rule x", "Rule \\u001b[31m"))
    result = run(path)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "Rule \\x1b[31m" in result.stdout


def test_a_file_where_the_folder_should_be(rules: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert run(rules, "--emit", tmp_path / "taken").exit_code == 2
    into = tmp_path / "into"
    into.mkdir()
    (into / "id-good").write_text("")
    result = run(rules, "--emit", into)
    assert result.exit_code == 4
    assert "cannot write" in result.stderr
