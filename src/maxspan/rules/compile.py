"""A rule's query becomes a plan, or the reason why it cannot run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from maxspan.errors import QueryError
from maxspan.languages import plan
from maxspan.languages.eql import parse
from maxspan.rules.complaints import Complaint
from maxspan.rules.filters import UnsupportedFilter, narrow
from maxspan.rules.model import Rule, duration_ns
from maxspan.rules.positions import KeyPath

NOT_YET: Final = "not runnable yet: "
_WHAT: Final = {
    "esql": "it is an ES|QL query",
    "machine_learning": "it reads the results of a machine learning job",
    "new_terms": "it looks for values that were not seen before (new_terms)",
    "query": "it is a KQL or Lucene query",
    "saved_query": "its query is saved in Kibana",
    "threat_match": "it matches events with threat indicators (threat_match)",
    "threshold": "it counts events (threshold)",
}


def compile_rule(rule: Rule, complain: Callable[[Complaint], None], *, query_at: KeyPath) -> Rule:
    """Give the rule with its plan, or with `not_runnable` set to the reason in one line.

    `query_at` is the key of the query text in the file, for complaints about it.
    """
    if rule.type != "eql":
        reason = _WHAT.get(rule.type)
        return replace(rule, not_runnable=NOT_YET + reason if reason else f"unknown rule type {rule.type[:64]!r}")
    if not rule.query.strip():
        complain(Complaint("rule-missing-key", "an EQL rule needs a `query`", at=query_at))
        return replace(rule, not_runnable="it has no query")
    try:
        query = parse(rule.query, dialect="endpoint" if rule.format == "endpoint" else "elasticsearch")
    except QueryError as error:
        complain(Complaint(error.code, error.message, at=query_at, hint=error.hint, query_error=error))
        return replace(rule, not_runnable=f"its query is wrong: {error.message}")
    try:
        narrowed = narrow(query, rule.filters)
    except UnsupportedFilter as error:
        return replace(rule, plan=query, not_runnable=f"{NOT_YET}{error}")
    reasons = list(dict.fromkeys(endpoint_extensions(query)))
    _check_span(rule, query, complain, query_at)
    return replace(rule, plan=narrowed, not_runnable=NOT_YET + "; ".join(reasons) if reasons else "")


def _check_span(rule: Rule, query: plan.Query, complain: Callable[[Complaint], None], query_at: KeyPath) -> None:
    """Warn of a sequence that may last longer than what two runs of a scheduled rule have in common."""
    if rule.format == "endpoint" or not isinstance(query, plan.SequenceQuery) or query.maxspan_ns is None:
        return
    lookback, interval = rule.lookback_ns, rule.interval_ns
    if lookback is None or interval is None or query.maxspan_ns <= max(0, lookback - interval):
        return
    message = (
        f"maxspan ({_shown(query.maxspan_ns)}) is longer than the look-back ({_shown(max(0, lookback - interval))}: "
        f"from {rule.from_}, every {rule.interval}): a scheduled rule misses sequences that cross two runs"
    )
    hint = f"from = now-{_shown(query.maxspan_ns + interval)} would do; a scan of files is not affected"
    complain(Complaint("maxspan-longer-than-lookback", message, "warning", query_at, hint=hint))


def _shown(nanoseconds: int) -> str:
    """Write a duration in the largest unit that divides it."""
    if nanoseconds == 0:
        return "0s"
    for unit in ("d", "h", "m", "s", "ms"):
        size = duration_ns(f"1{unit}") or 1
        if nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    return f"{nanoseconds}ns"


def endpoint_extensions(query: plan.Query) -> Iterator[str]:
    """Name what a plan uses of Endpoint's dialect that nothing here can evaluate yet; empty for plain EQL."""
    for stage in plan.all_stages(query):
        for key in stage.by:
            yield from _of_field(key)
        for node in plan.walk(stage.where):
            yield from _of_node(node)


def _of_node(node: plan.Node) -> Iterator[str]:
    match node:
        case plan.ArraySearch(array=array):
            yield f"`_arraysearch` over {array.name}"
        case plan.DescendantOf():
            yield "`descendant of`"
        case plan.Comparison(left=left, right=right) if any(plan.fields(left)) and any(plan.fields(right)):
            yield "a comparison of a field with a field"
        case plan.Field():
            yield from _of_field(node)
        case _:
            pass


def _of_field(field: plan.Field) -> Iterator[str]:
    if field.of and not field.of.startswith("$"):
        yield f"a field of an earlier event ({field.of}.{field.name})"
    if field.name.startswith("Effective_process."):
        yield "`Effective_process`, which only Endpoint works out"
