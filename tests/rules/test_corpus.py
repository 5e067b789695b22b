"""All rules that Elastic publishes load; every EQL rule of its detection rules runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from maxspan.rules import cache as cache_module
from maxspan.rules.load import load_rules
from maxspan.rules.model import Ruleset
from maxspan.rules.plan_form import query_from_form, to_form


@pytest.fixture(scope="module")
def elastic(corpus: Path) -> Ruleset:
    return load_rules(corpus / "elastic")


@pytest.fixture(scope="module")
def endpoint(corpus: Path) -> Ruleset:
    return load_rules(corpus / "endpoint")


def test_every_file_of_the_detection_rules_gives_a_rule(elastic: Ruleset) -> None:
    assert (elastic.files, len(elastic), elastic.errors) == (2062, 2062, ())


def test_every_eql_rule_runs_and_no_other(elastic: Ruleset) -> None:
    assert Counter(rule.type for rule in elastic.runnable) == {"eql": 1020}
    assert all(rule.plan is not None for rule in elastic.runnable)
    assert all(rule.not_runnable.startswith("not runnable yet: ") for rule in elastic.not_runnable)


def test_the_warnings_are_those_that_are_known(elastic: Ruleset) -> None:
    assert {problem.code for problem in elastic.problems} <= {
        "exceptions-not-applied",
        "maxspan-longer-than-lookback",
        "outdated-attack-id",
        "suppression-not-applied",
    }
    assert all(problem.line and problem.column and problem.excerpt for problem in elastic.problems)


def test_every_behaviour_rule_loads(endpoint: Ruleset) -> None:
    assert (endpoint.files, len(endpoint), endpoint.errors) == (1306, 1306, ())
    assert len(endpoint.runnable) == 1004
    assert {problem.code for problem in endpoint.problems} == {"duplicate-id"}
    for rule in endpoint.not_runnable:
        assert rule.not_runnable.startswith(("not runnable yet: ", "its id is also that of another rule: "))


def test_plans_survive_being_kept(elastic: Ruleset, endpoint: Ruleset) -> None:
    for rule in (*elastic, *endpoint):
        if rule.plan is not None:
            assert query_from_form(to_form(rule.plan)) == rule.plan


@pytest.mark.parametrize("part", ["elastic/rules/linux", "endpoint/rules/macos"])
def test_from_the_cache_they_are_the_same(
    corpus: Path, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.rules.test_cache import everything

    fresh = load_rules(corpus / part)
    monkeypatch.delenv("MAXSPAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    written = load_rules(corpus / part)
    monkeypatch.setattr(cache_module, "parse", None)
    kept = load_rules(corpus / part)
    assert everything(fresh) == everything(written) == everything(kept)
