"""One query over a list of events: the whole of the language, in the obvious way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from maxspan.engine.limits import limit
from maxspan.engine.reference.condition import UNTYPED, Evaluator
from maxspan.engine.reference.event import Event, FieldNames, in_stage, make_event, shown_key
from maxspan.engine.reference.sample import find_samples
from maxspan.engine.reference.sequence import Found, find_sequences
from maxspan.languages import plan
from maxspan.languages.constraints import pass_on


def find(
    query: plan.Query, events: Sequence[Event], names: FieldNames, evaluator: Evaluator, samples_per_key: int = 1
) -> list[Found]:
    """Find all matches of a query, pipes not applied; events come in any order."""
    if isinstance(query, plan.SequenceQuery):
        return find_sequences(pass_on(query), events, names, evaluator)
    if isinstance(query, plan.SampleQuery):
        return find_samples(query, events, names, evaluator, samples_per_key)
    ordered = sorted(events, key=lambda event: event.ordinal)
    return [Found((event,), ()) for event in ordered if in_stage(event, query.stage, names, evaluator)]


def make_events(fields: Iterable[Mapping[str, Sequence[Any]]], names: FieldNames, evaluator: Evaluator) -> list[Event]:
    """Turn flattened events into events with a place in the order."""
    return [make_event(position, item, names, evaluator) for position, item in enumerate(fields)]


def run(
    query: plan.Query,
    fields: Iterable[Mapping[str, Sequence[Any]]],
    *,
    names: FieldNames | None = None,
    types: Mapping[str, str] | None = None,
    size: int | None = None,
    result_position: str | None = None,
    samples_per_key: int = 1,
) -> list[tuple[Found, tuple[Any, ...]]]:
    """Run a query over flattened events; gives the matches in Elasticsearch's order, with their keys as shown."""
    names = names or FieldNames()
    known = types if types is not None else {**UNTYPED, names.timestamp: "date_nanos"}
    evaluator = Evaluator(known)
    events = make_events(fields, names, evaluator)
    found = find(query, events, names, evaluator, samples_per_key)
    pipes = () if isinstance(query, plan.SampleQuery) else query.pipes
    if isinstance(query, plan.SampleQuery):
        found = found if size is None else found[:size]
    else:
        found = limit(found, pipes, size, result_position)
    return [(match, _shown(query, match, evaluator)) for match in found]


def _shown(query: plan.Query, match: Found, evaluator: Evaluator) -> tuple[Any, ...]:
    if isinstance(query, plan.EventQuery):
        return ()
    keys = query.keys(next(stage for stage in query.stages if not stage.missing))
    return shown_key(match.key, keys, evaluator, sample=isinstance(query, plan.SampleQuery))
