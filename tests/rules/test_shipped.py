"""The rules that come with maxspan: found, sound, complete; and the founding rule, which stays as it was founded."""

from __future__ import annotations

import csv
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.languages import plan
from maxspan.rules.load import load_rules, shipped_rules_path
from maxspan.rules.model import Rule, Ruleset
from maxspan.sources.chunk import Chunk

ROOT = Path(__file__).resolve().parents[2]
FOUNDING = ROOT / "rules" / "linux" / "potential_reverse_shell.toml"


@pytest.fixture(scope="module")
def shipped() -> Ruleset:
    return load_rules()


def test_they_are_found_without_a_path(shipped: Ruleset) -> None:
    assert shipped_rules_path() == ROOT / "rules"
    assert {Path(rule.path) for rule in shipped} == set((ROOT / "rules").rglob("*.toml"))
    assert shipped.problems == ()


def test_each_is_written_as_the_docs_ask(shipped: Ruleset) -> None:
    for rule in shipped:
        assert rule.license == "Apache-2.0" and rule.author == ("The maxspan authors",), rule.path
        assert rule.description and rule.setup and rule.false_positives and rule.threat and rule.index, rule.path
        for heading in ("## Triage and analysis", "### What this rule cannot see"):
            assert heading in rule.note, (rule.path, heading)
        assert Path(rule.path).stem == Path(rule.path).stem.lower()
    assert len({rule.name for rule in shipped}) == len(shipped)


@pytest.fixture(scope="module")
def founding() -> Rule:
    (rule,) = load_rules(FOUNDING)
    return rule


def test_the_founding_rule_keeps_its_weight_and_mapping(founding: Rule) -> None:
    assert (founding.name, founding.severity, founding.risk_score) == ("Potential Reverse Shell", "medium", 47)
    assert founding.technique_ids == ("T1059", "T1059.004", "T1071")
    assert founding.tactics == ("Execution", "Command and Control")
    assert (founding.from_, founding.index) == ("now-9m", ("logs-endpoint.events.*",))


def test_the_founding_rule_has_the_logic_of_the_published_one(founding: Rule, corpus: Path) -> None:
    (published,) = load_rules(corpus / "elastic/rules/linux/execution_shell_via_tcp_cli_utility_linux.toml")
    assert canonical(founding.plan) == canonical(published.plan)
    assert founding.id != published.id


def test_no_sentence_is_taken_from_the_published_one(founding: Rule, corpus: Path) -> None:
    (published,) = load_rules(corpus / "elastic/rules/linux/execution_shell_via_tcp_cli_utility_linux.toml")
    ours = words(founding.description + " " + founding.note + " " + founding.setup)
    theirs = words(published.description + " " + published.note + " " + published.setup)
    assert not {tuple(ours[at : at + 6]) for at in range(len(ours))} & {
        tuple(theirs[at : at + 6]) for at in range(len(theirs))
    }


def words(text: str) -> list[str]:
    return "".join(letter.lower() if letter.isalnum() else " " for letter in text).split()


def canonical(query: plan.Query | None) -> object:
    """Give a sequence without regard to the order of what is joined by `and` or `or`."""
    assert isinstance(query, plan.SequenceQuery)
    stages = [(stage.category, tree(stage.where), stage.by, stage.missing) for stage in query.stages]
    return query.by, query.maxspan_ns, query.until, stages


def tree(node: plan.Condition) -> object:
    match node:
        case plan.And(items=items) | plan.Or(items=items):
            return type(node).__name__, sorted((tree(item) for item in items), key=repr)
        case plan.Not(item=item):
            return "Not", tree(item)
        case _:
            return repr(node)


def test_it_fires_where_it_should(founding: Rule) -> None:
    traces = ROOT / "examples" / "traces"
    with (traces / "index.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    seen, wrong = 0, []
    for row in rows:
        path = traces / row["kind"] / f"{row['trace']}.ndjson"
        if path.exists() and row["seed_rule_fires"] in ("yes", "no"):  # of some recordings nobody said what they show
            seen += 1
            detector = ReferenceDetector([founding])
            detector.feed(Chunk(path.read_bytes(), str(path), 1))
            if bool(detector.finish()) is not (row["seed_rule_fires"] == "yes"):
                wrong.append(path.name)
    assert seen > 20 and wrong == []


@pytest.mark.slow
def test_a_wheel_holds_them(tmp_path: Path) -> None:
    import shutil

    source = tmp_path / "source"
    for name in ("src", "rules"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", source)
    (source / "README.md").write_text("maxspan")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(source)]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.rpartition("shipped_rules/")[2] for name in archive.namelist() if "shipped_rules/" in name}
    assert inside == {str(path.relative_to(ROOT / "rules")) for path in (ROOT / "rules").rglob("*.toml")}
