"""A rule's query becomes a plan, or the reason why it cannot run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from maxspan.errors import QueryError, Span
from maxspan.languages import plan
from maxspan.languages.eql import parse
from maxspan.rules.complaints import Complaint
from maxspan.rules.filters import UnsupportedFilter, narrow
from maxspan.rules.model import Rule, duration_ns
from maxspan.rules.positions import KeyPath
from maxspan.schema.field_names import meant_by

_MAXSPAN: Final = re.compile(r"maxspan\s*=\s*\w+")
#: Finding what a name was meant to be takes a millisecond.
_MAX_CHECKED_FIELDS: Final = 500
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
        complain(Complaint(error.code, error.message, at=query_at, hint=error.hint, span=error.span, text=rule.query))
        return replace(rule, not_runnable=f"its query is wrong: {error.message}")
    except RecursionError:
        complain(Complaint("too-deep", "the query is nested too deep", at=query_at, hint="split the condition"))
        return replace(rule, not_runnable="its query is nested too deep")
    try:
        narrowed = narrow(query, rule.filters)
    except UnsupportedFilter as error:
        at = (*query_at[:-1], "filters")
        complain(Complaint("filter-not-supported", f"the rule cannot run: {error} is not supported", "warning", at))
        return replace(rule, plan=query, not_runnable=f"{NOT_YET}{error}")
    reasons = list(dict.fromkeys(endpoint_extensions(query))) if rule.format == "endpoint" else []
    _check_span(rule, query, complain, query_at)
    _check_fields(rule, query, complain, query_at)
    _tell_unapplied(rule, complain, query_at[:-1])
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
    found = _MAXSPAN.search(rule.query)
    span = Span(*found.span()) if found else None
    complain(
        Complaint("maxspan-longer-than-lookback", message, "warning", query_at, hint=hint, span=span, text=rule.query)
    )


def _tell_unapplied(rule: Rule, complain: Callable[[Complaint], None], at: KeyPath) -> None:
    """Warn of what Elastic Security would apply and maxspan does not, all of which makes more alerts, not fewer."""
    for number, item in enumerate(rule.exceptions_list):
        name = str(item.get("list_id", ""))[:64]
        message = f"the exceptions of the list {name!r} are not in the file and are not applied"
        hint = "the rule may alert here where Elastic Security keeps silent"
        complain(Complaint("exceptions-not-applied", message, "warning", (*at, "exceptions_list", number), hint=hint))
    if rule.alert_suppression:
        message = "the alert suppression is not applied: every match is an alert"
        complain(Complaint("suppression-not-applied", message, "warning", (*at, "alert_suppression")))
    if not rule.index and isinstance(view := _own(rule).get("data_view_id"), str) and view:
        message = f"the patterns of the data view {view[:64]!r} are not in the file: the rule looks at every event"
        complain(Complaint("data-view-unknown", message, "warning", (*at, "data_view_id"), of_value=True))


def _own(rule: Rule) -> Mapping[str, Any]:
    """Give the table that holds the rule's own keys."""
    if rule.format == "kibana":
        return rule.raw
    inner = rule.raw.get("rule")
    return inner if isinstance(inner, dict) else {}


def _check_fields(rule: Rule, query: plan.Query, complain: Callable[[Complaint], None], query_at: KeyPath) -> None:
    """Warn of each field that nobody knows and whose name is very close to one that is known."""
    seen: set[str] = set()
    for field in all_fields(query):
        if field.of or field.name in seen or len(seen) >= _MAX_CHECKED_FIELDS:
            continue
        seen.add(field.name)
        meant = meant_by(field.name)
        if meant:
            message = f"the field `{field.name[:128]}` is not known; where events lack it, the condition is never true"
            hint = f"did you mean `{meant}`?"
            complain(
                Complaint("unknown-field", message, "warning", query_at, hint=hint, span=field.span, text=rule.query)
            )


def all_fields(query: plan.Query) -> Iterator[plan.Field]:
    """Give every occurrence of a field in conditions and join keys."""
    if not isinstance(query, plan.EventQuery):
        yield from query.by
    for stage in plan.all_stages(query):
        yield from stage.by
        yield from plan.fields(stage.where)


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
