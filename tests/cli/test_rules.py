"""`maxspan rules list`, `show` and `check`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from maxspan.cli.main import main
from tests.rules.writing import kibana_rule, toml_rule, write


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, ["rules", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


THREAT = (
    '[[rule.threat]]\nframework = "MITRE ATT&CK"\n[[rule.threat.technique]]\nid = "T1059"\n'
    '[[rule.threat.technique.subtechnique]]\nid = "T1059.004"\n[rule.threat.tactic]\nid = "TA0002"\nname = "Execution"'
)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    write(folder / "1.toml", toml_rule(id_="r-1", name="Shell one", tail=THREAT, head='tags = ["OS: Linux", "Use: A"]'))
    write(folder / "2.toml", toml_rule(id_="r-2", name="Shell two").replace('"high"', '"low"'))
    write(folder / "3.ndjson", kibana_rule(id="x", rule_id="r-3", name="Counts", type="threshold", tags=["OS: macOS"]))
    return folder


def listed(*arguments: str | Path) -> list[str]:
    result = run("list", "--format", "ndjson", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    "arguments, ids",
    [
        ([], ["r-1", "r-2", "r-3"]),
        (["--type", "EQL"], ["r-1", "r-2"]),
        (["--type", "eql", "--type", "threshold"], ["r-1", "r-2", "r-3"]),
        (["--severity", "low"], ["r-2"]),
        (["--tag", "os: linux"], ["r-1"]),
        (["--tag", "OS: *"], ["r-1", "r-3"]),
        (["--tactic", "execution"], ["r-1"]),
        (["--tactic", "ta0002"], ["r-1"]),
        (["--technique", "T1059"], ["r-1"]),
        (["--technique", "T1059.004"], ["r-1"]),
        (["--technique", "T105"], []),
        (["--os", "macOS"], ["r-3"]),
        (["--runnable"], ["r-1", "r-2"]),
        (["--not-runnable"], ["r-3"]),
        (["--type", "eql", "--severity", "high", "--os", "linux"], ["r-1"]),
    ],
)
def test_list_chooses(rules: Path, arguments: list[str], ids: list[str]) -> None:
    assert listed("-r", rules, *arguments) == ids


def test_list_as_table_and_json(rules: Path) -> None:
    table = run("list", "-r", rules)
    assert table.exit_code == 0
    assert "Shell one" in table.stdout and "no: not runnable yet: it counts events (threshold)" in table.stdout
    assert "3 of 3 rules; 2 of these can run" in table.stderr
    documents = json.loads(run("list", "-r", rules, "--format", "json").stdout)
    assert documents[0] == {
        "id": "r-1",
        "name": "Shell one",
        "type": "eql",
        "severity": "high",
        "risk_score": 73,
        "tags": ["OS: Linux", "Use: A"],
        "tactics": ["Execution"],
        "techniques": ["T1059", "T1059.004"],
        "os": ["linux"],
        "runnable": True,
        "not_runnable": "",
        "format": "elastic",
        "version": 1,
        "path": str(rules / "1.toml"),
        "line": 0,
    }


def test_list_without_paths_lists_what_is_shipped() -> None:
    assert "Potential Reverse Shell" in run("list").stdout


def test_list_of_broken_rules_lists_the_others_and_says_so(rules: Path) -> None:
    write(rules / "0.toml", "[rule")
    result = run("list", "-r", rules)
    assert result.exit_code == 2
    assert "Shell one" in result.stdout and "rule-file-syntax" in result.stderr


class TestShow:
    @pytest.mark.parametrize("wanted", ["r-1", "SHELL ONE", "one"])
    def test_by_id_name_and_part_of_the_name(self, rules: Path, wanted: str) -> None:
        result = run("show", wanted, "-r", rules)
        assert result.exit_code == 0
        for text in ("Shell one", "process where true", "T1059.004 Unix Shell", "TA0002 Execution", "OS: Linux"):
            assert text in result.stdout

    def test_by_path_and_related_to_the_shipped_ones(self, rules: Path) -> None:
        result = run("show", rules / "1.toml")
        assert result.exit_code == 0
        assert "Related rules" in result.stdout and "(T1059, T1059.004, OS: Linux)" in result.stdout

    def test_the_founding_rule_with_all_its_parts(self) -> None:
        result = run("show", "Potential Reverse Shell")
        for heading in ("What it looks for", "Query", "ATT&CK", "Investigation guide", "False positives", "Setup"):
            assert heading in result.stdout
        assert "sequence by host.id with maxspan=5s" in result.stdout

    def test_as_json(self, rules: Path) -> None:
        shown = json.loads(run("show", "r-1", "-r", rules, "--format", "json").stdout)
        assert shown["query"].strip() == "process where true"
        assert shown["threat"][0]["tactic"]["id"] == "TA0002"

    def test_a_rule_that_cannot_run_says_why(self, rules: Path) -> None:
        assert "does not run: not runnable yet: it counts events" in run("show", "r-3", "-r", rules).stdout

    def test_several_that_fit_and_none_that_does(self, rules: Path) -> None:
        several = run("show", "shell", "-r", rules)
        assert several.exit_code == 2 and "2 rules fit" in several.stderr
        none = run("show", "Shell onne", "-r", rules)
        assert none.exit_code == 2 and "did you mean 'Shell one'" in none.stderr

    def test_a_broken_file(self, rules: Path) -> None:
        result = run("show", write(rules / "0.toml", "[rule"))
        assert result.exit_code == 2 and "rule-file-syntax" in result.stderr

    def test_nothing_of_a_rule_reaches_the_terminal_raw(self, rules: Path) -> None:
        evil = "\x1b]0;x\x07\u202e"
        hostile = kibana_rule(
            rule_id="evil",
            name=f"n{evil}",
            description=f"d{evil}",
            note=f"# h{evil}\n[l{evil}](http://x)\n```\n{evil}\n```",
            setup=evil,
            query=f'process where process.name == "{evil}"',
            tags=[evil],
            references=[evil],
            false_positives=[evil],
            type="eql",
        )
        path = write(rules / "evil.json", hostile)
        for arguments in (("show", path), ("list", "-r", path), ("check", path), ("show", path, "--format", "json")):
            result = run(*arguments)
            assert "\x1b" not in result.output and "\u202e" not in result.output and "\x07" not in result.output


class TestCheck:
    def test_good_rules(self, rules: Path) -> None:
        result = run("check", rules)
        assert (result.exit_code, result.stdout) == (0, "")
        assert "3 files, 3 rules, 2 can run; errors: 0, warnings: 0" in result.stderr
        assert "1 not runnable yet: it counts events (threshold)" in result.stderr

    def test_the_shipped_rules_are_clean(self) -> None:
        assert run("check", "--strict").exit_code == 0

    def test_an_error_shows_file_line_and_hint(self, rules: Path) -> None:
        path = write(rules / "0.toml", toml_rule("process where lenght(process.name) == 1"))
        result = run("check", rules)
        assert result.exit_code == 2
        assert f"{path}:13:15: error[unknown-function]" in result.stdout
        assert "13 | process where lenght(process.name) == 1\n   |               ^^^^^^" in result.stdout
        assert "did you mean `length`?" in result.stdout

    def test_warnings_fail_only_under_strict(self, rules: Path) -> None:
        write(rules / "0.toml", toml_rule('process where proces.name == "x"', id_="r-0"))
        assert run("check", rules).exit_code == 0
        result = run("check", rules, "--strict")
        assert result.exit_code == 2 and "did you mean `process.name`?" in result.stdout

    def test_json(self, rules: Path) -> None:
        path = write(rules / "0.toml", toml_rule("process where"))
        result = run("check", "-r", rules, "--format", "json")
        found = json.loads(result.stdout)
        assert (result.exit_code, found["errors"], found["rules"], found["runnable"]) == (2, 1, 4, 2)
        assert found["problems"][0]["path"] == str(path) and found["problems"][0]["line"] == 14
        assert {rule["id"] for rule in found["not_runnable"]} == {"rule-1", "r-3"}

    def test_annotations_of_github(self, rules: Path) -> None:
        path = write(rules / "a,b:c%.toml", toml_rule('process where proces.name == "100%"', id_="r-0"))
        write(rules / "d.json", kibana_rule("process where", rule_id="r-9"))
        lines = run("check", rules, "--format", "github").stdout.splitlines()
        escaped = str(path).replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
        assert lines[0].startswith(
            f"::warning file={escaped},title=unknown-field,line=13,col=15,endColumn=26::the field `proces.name`"
        )
        assert lines[1].startswith(f"::error file={rules / 'd.json'},title=") and ",col=" not in lines[1]
        assert len(lines) == 2

    def test_reasons_are_counted_and_none_is_left_out(self, tmp_path: Path) -> None:
        twice = [kibana_rule(), kibana_rule("any where true")]
        types = [kibana_rule(rule_id=f"r{number}", type=f"type{number}") for number in range(20)]
        result = run("check", write(tmp_path / "x.json", [*twice, *types]))
        assert "  1 its id is also that of another rule\n" in result.stderr
        assert "  9 for 9 other reasons" in result.stderr
        assert result.stdout.count("unknown-rule-type") == 20 and "(at rule_id)" in result.stdout

    def test_nothing_to_check(self, tmp_path: Path) -> None:
        result = run("check", tmp_path / "none")
        assert result.exit_code == 2 and "there is no such file" in result.stdout


def test_the_group_names_its_commands_without_importing_them() -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom maxspan.cli.main import main\n"
        "out = CliRunner().invoke(main, ['rules', '--help']).output\n"
        "assert all(name in out for name in ('list', 'show', 'check', 'prove')), out\n"
        "assert not {'rich', 'msgspec', 'maxspan.rules.load'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_command() -> None:
    assert run("nonsense").exit_code == 2
