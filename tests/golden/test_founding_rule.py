"""The founding rule over recorded shells: it fires where the index says yes, and nowhere else."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

import maxspan

ROOT = Path(__file__).resolve().parents[2]
SHIPPED_RULE = ROOT / "rules" / "linux" / "potential_reverse_shell.toml"
SHARED = os.environ.get("MAXSPAN_SHARED", "")
needs_shared = pytest.mark.skipif(not SHARED, reason="MAXSPAN_SHARED is not set: no corpus and no shared traces here")


def corpus_rule() -> Path:
    return Path(SHARED) / "corpus/elastic/rules/linux/execution_shell_via_tcp_cli_utility_linux.toml"


def expected(traces: Path) -> dict[str, str]:
    with (traces / "index.tsv").open() as file:
        return {f"{row['kind']}/{row['trace']}": row["seed_rule_fires"] for row in csv.DictReader(file, delimiter="\t")}


def fires(rules: maxspan.Ruleset, path: Path) -> bool:
    return any(maxspan.scan(rules, path))


def check(rule: Path, traces: Path) -> None:
    rules = maxspan.load_rules(rule)
    assert not rules.problems and len(rules.runnable) == 1
    told = expected(traces)
    assert set(told.values()) >= {"yes", "no"}
    seen = {name: "yes" if fires(rules, traces / f"{name}.ndjson") else "no" for name in told}
    # "unknown": the recording does not say whether all of it was caught in time, so either is right
    wrong = {name: answer for name, answer in seen.items() if told[name] not in (answer, "unknown")}
    assert wrong == {}


def test_the_shipped_rule_over_the_examples() -> None:
    check(SHIPPED_RULE, ROOT / "examples" / "traces")


@needs_shared
def test_the_shipped_rule_over_all_traces() -> None:
    check(SHIPPED_RULE, Path(SHARED) / "traces")


@needs_shared
def test_the_rule_of_the_corpus_over_the_examples() -> None:
    check(corpus_rule(), ROOT / "examples" / "traces")


@needs_shared
def test_the_rule_of_the_corpus_over_all_traces() -> None:
    check(corpus_rule(), Path(SHARED) / "traces")


@needs_shared
def test_both_rules_find_the_same_events() -> None:
    traces = Path(SHARED) / "traces"
    ours, theirs = (
        [
            [ancestor["id"] for ancestor in alert["kibana.alert.ancestors"] if ancestor["type"] == "event"]
            for alert in maxspan.scan(rule, traces)
        ]
        for rule in (SHIPPED_RULE, corpus_rule())
    )
    assert ours and ours == theirs
