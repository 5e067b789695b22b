"""Filters of a rule narrow every stage; one that cannot be expressed keeps the rule from running, visibly."""

from __future__ import annotations

import json
from typing import Any

import pytest

import maxspan
from maxspan.languages import plan
from maxspan.rules.model import Rule
from maxspan.rules.parse import Contents
from tests.rules.writing import kibana_rule, only_problem, only_rule, parsed


def with_filters(*filters: dict[str, Any], query: str = "any where true") -> Contents:
    return parsed(json.dumps(kibana_rule(query, filters=list(filters))), "x.json")


def holds(rule: Rule, event: dict[str, Any]) -> bool:
    """Run the narrowed plan over one event."""
    from maxspan.engine.reference.condition import UNTYPED, Evaluator
    from maxspan.sources.document import flatten

    assert isinstance(rule.plan, plan.EventQuery)
    return Evaluator(UNTYPED).value(rule.plan.stage.where, flatten(event)) is True  # type: ignore[arg-type]


A: dict[str, Any] = {"query": {"exists": {"field": "a"}}}


@pytest.mark.parametrize(
    "given, yes, no",
    [
        (A, {"a": 1}, {"b": 1}),
        ({"exists": {"field": "a"}, "meta": {}}, {"a": 1}, {"b": 1}),
        ({**A, "meta": {"negate": True}}, {"b": 1}, {"a": 1}),
        ({"query": {"match_phrase": {"a": "x"}}}, {"a": ["y", "x"]}, {"a": "X"}),
        ({"query": {"match_phrase": {"a": {"query": "x"}}}}, {"a": "x"}, {"a": "y"}),
        ({"query": {"term": {"a": {"value": "x", "case_insensitive": True}}}}, {"a": "X"}, {"a": "y"}),
        ({"query": {"terms": {"a": ["x", "y"], "boost": 1}}}, {"a": "y"}, {"a": "z"}),
        ({"query": {"range": {"a": {"gte": 2, "lt": 4}}}}, {"a": 2}, {"a": 4}),
        (
            {"query": {"wildcard": {"a": {"value": "C:\\\\x*", "case_insensitive": True}}}},
            {"a": "c:\\XY"},
            {"a": "C:x"},
        ),
        ({"query": {"wildcard": {"a": "x?"}}}, {"a": "xy"}, {"a": "Xy"}),
        (
            {"query": {"bool": {"must": [A["query"]], "must_not": {"exists": {"field": "b"}}}}},
            {"a": 1},
            {"a": 1, "b": 1},
        ),
        ({"query": {"bool": {"should": [{"term": {"a": 1}}, {"term": {"b": 1}}]}}}, {"b": 1}, {"c": 1}),
        (
            {"query": {"bool": {"minimum_should_match": 1, "filter": [A["query"]], "should": [{"term": {"b": 1}}]}}},
            {"a": 1, "b": 1},
            {"a": 1},
        ),
        ({"query": {"bool": {"filter": [A["query"]], "should": [{"term": {"b": 1}}]}}}, {"a": 1}, {"b": 1}),
    ],
)
def test_a_filter_decides(given: dict[str, Any], yes: dict[str, Any], no: dict[str, Any]) -> None:
    contents = with_filters(given)
    rule = only_rule(contents)
    assert contents.problems == [] and rule.runnable
    assert holds(rule, yes)
    assert not holds(rule, no)


def test_no_terms_are_fulfilled_by_nothing() -> None:
    assert not holds(only_rule(with_filters({"query": {"terms": {"a": []}}})), {"a": 1})


def test_a_disabled_filter_does_nothing() -> None:
    rule = only_rule(with_filters({**A, "meta": {"disabled": True}}))
    assert rule.plan == maxspan.parse("any where true")


def test_every_stage_is_narrowed() -> None:
    query = "sequence by k with maxspan=1m [any where true] ![any where true] [any where true] until [any where true]"
    rule = only_rule(with_filters(A, query=query))
    assert rule.plan is not None
    stages = plan.all_stages(rule.plan)
    assert len(stages) == 4
    assert all(any(field.name == "a" for field in plan.fields(stage.where)) for stage in stages)


@pytest.mark.parametrize(
    "given",
    [
        {"query": {"script": {"script": "x"}}},
        {"query": {"query_string": {"query": "x"}}},
        {"query": {"range": {"@timestamp": {"gte": "now-1d"}}}},
        {"query": {"wildcard": {"a": "x\\*"}}},
        {"query": {"bool": {"minimum_should_match": 2, "should": [A["query"]] * 3}}},
        {"query": {"exists": {"field": "a"}, "term": {"b": 1}}},
        {"query": {"term": {"a": None}}},
        {"query": []},
        {"meta": {"type": "combined", "params": []}},
    ],
)
def test_a_filter_that_cannot_be_expressed_stops_the_rule_and_is_told(given: dict[str, Any]) -> None:
    contents = with_filters(given)
    problem = only_problem(contents)
    assert (problem.code, problem.severity) == ("filter-not-supported", "warning")
    assert only_rule(contents).not_runnable.startswith("not runnable yet: ")


def test_a_filter_nested_without_end_is_refused() -> None:
    query: dict[str, Any] = {"exists": {"field": "a"}}
    for _ in range(300):
        query = {"bool": {"must": [query]}}
    assert not only_rule(with_filters({"query": query})).runnable
