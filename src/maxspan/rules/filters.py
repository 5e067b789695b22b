"""The `filters` of a rule (Elasticsearch's query DSL as Kibana keeps it) become conditions of its plan.

Elasticsearch applies the filters of an EQL request to every event that a stage looks at, those of missing events
included. So a filter is and-ed to the condition of every stage.

Source: https://www.elastic.co/docs/reference/query-languages/query-dsl (bool, exists, match_phrase, range, term,
terms, wildcard).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from maxspan.languages import plan

_MAX_DEPTH: Final = 20
_BOUNDS: Final[dict[str, Literal["<", "<=", ">", ">="]]] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class UnsupportedFilter(Exception):
    """A filter that cannot be expressed as a condition; the text says which and why."""


def narrow(query: plan.Query, filters: Sequence[Mapping[str, Any]]) -> plan.Query:
    """Give the query with all enabled filters and-ed to each of its stages.

    Raises UnsupportedFilter. Without filters the query comes back as it is.
    """
    conditions = tuple(_of_filter(item) for item in filters if not _meta(item).get("disabled"))
    if not conditions:
        return query

    def narrowed(stage: plan.Stage) -> plan.Stage:
        return replace(stage, where=plan.And((stage.where, *conditions), stage.where.span))

    match query:
        case plan.EventQuery(stage=stage):
            return replace(query, stage=narrowed(stage))
        case plan.SequenceQuery(stages=stages, until=until):
            return replace(query, stages=tuple(map(narrowed, stages)), until=until and narrowed(until))
        case plan.SampleQuery(stages=stages):
            return replace(query, stages=tuple(map(narrowed, stages)))


def _meta(item: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = item.get("meta")
    return meta if isinstance(meta, dict) else {}


def _of_filter(item: Mapping[str, Any]) -> plan.Condition:
    query = item.get("query")
    if query is None:  # Kibana before 7.11 kept `exists` and `range` beside `meta`
        query = {key: value for key, value in item.items() if key not in ("meta", "$state")}
    condition = _of_query(query, 0)
    return plan.Not(condition) if _meta(item).get("negate") else condition


def _of_query(query: object, depth: int) -> plan.Condition:
    if not isinstance(query, dict) or len(query) != 1 or depth > _MAX_DEPTH:
        raise UnsupportedFilter("a filter that is no single clause of the query DSL")
    (kind, body), *_ = query.items()
    if not isinstance(body, dict):
        raise UnsupportedFilter(f"a filter of kind `{kind}` in a form that is not known")
    if kind == "bool":
        return _of_bool(body, depth)
    if kind == "exists" and isinstance(body.get("field"), str):
        return plan.IsNull(plan.Field(body["field"]), negated=True)
    fields = [(name, value) for name, value in body.items() if name != "boost"]
    if len(fields) != 1:
        raise UnsupportedFilter(f"a filter of kind `{kind}` with more or less than one field")
    name, value = fields[0]
    match kind:
        case "term" | "match_phrase":
            return _of_term(name, value, "value" if kind == "term" else "query")
        case "terms" if isinstance(value, list):
            if not value:
                return plan.FALSE
            return plan.In(plan.Field(name), tuple(plan.Literal(_constant(kind, item)) for item in value))
        case "wildcard":
            return _of_wildcard(name, value)
        case "range" if isinstance(value, dict):
            return _of_range(name, value)
        case _:
            raise UnsupportedFilter(f"a filter of kind `{kind}`")


def _of_bool(body: Mapping[str, Any], depth: int) -> plan.Condition:
    parts: list[plan.Condition] = []
    clauses = {key: value if isinstance(value, list) else [value] for key, value in body.items()}
    should = [_of_query(item, depth + 1) for item in clauses.pop("should", [])]
    at_least = clauses.pop("minimum_should_match", [1 if not {"must", "filter"} & clauses.keys() else 0])[0]
    for key, items in clauses.items():
        if key not in ("must", "filter", "must_not"):
            raise UnsupportedFilter(f"a `bool` filter with `{key}`")
        conditions = [_of_query(item, depth + 1) for item in items]
        parts.extend(map(plan.Not, conditions) if key == "must_not" else conditions)
    if should and at_least not in (0, 1):
        raise UnsupportedFilter("a `bool` filter with `minimum_should_match`")
    if should and at_least == 1:
        parts.append(plan.Or(tuple(should)) if len(should) > 1 else should[0])
    return _all(parts)


def _of_term(name: str, value: object, key: str) -> plan.Condition:
    insensitive = False
    if isinstance(value, dict):
        insensitive = value.get("case_insensitive") is True
        value = value.get(key)
    constant = _constant("term", value)
    if insensitive and isinstance(constant, str):
        return plan.In(plan.Field(name), (plan.Literal(constant),), insensitive=True)
    return plan.Comparison("==", plan.Field(name), plan.Literal(constant))


def _of_wildcard(name: str, value: object) -> plan.Condition:
    insensitive = isinstance(value, dict) and value.get("case_insensitive") is True
    if isinstance(value, dict):
        value = value.get("value", value.get("wildcard"))
    if not isinstance(value, str):
        raise UnsupportedFilter("a `wildcard` filter without a text")
    return plan.Like(plan.Field(name), (_pattern(value),), "like~" if insensitive else "like")


def _pattern(value: str) -> str:
    """Turn Lucene's wildcard text, in which a backslash escapes, into a pattern without escapes."""
    out: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            character = next(characters, "\\")
            if character in "*?":
                raise UnsupportedFilter("a `wildcard` filter with a literal `*` or `?`")
        out.append(character)
    return "".join(out)


def _of_range(name: str, body: Mapping[str, Any]) -> plan.Condition:
    parts: list[plan.Condition] = []
    for key, value in body.items():
        if key not in _BOUNDS or (isinstance(value, str) and value.startswith("now")):
            raise UnsupportedFilter(f"a `range` filter with `{key}`")
        parts.append(plan.Comparison(_BOUNDS[key], plan.Field(name), plan.Literal(_constant("range", value))))
    return _all(parts)


def _constant(kind: str, value: object) -> str | int | float | bool:
    if isinstance(value, str | int | float | bool):
        return value
    raise UnsupportedFilter(f"a `{kind}` filter without a plain value")


def _all(parts: list[plan.Condition]) -> plan.Condition:
    if len(parts) == 1:
        return parts[0]
    return plan.And(tuple(parts)) if parts else plan.TRUE
