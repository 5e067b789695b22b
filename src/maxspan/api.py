"""The public Python API: parse, evaluate, query, load_rules, scan."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from maxspan.engine.match import Match
from maxspan.engine.reference.condition import UNTYPED, Evaluator
from maxspan.engine.reference.event import FieldNames
from maxspan.engine.reference.query import run
from maxspan.errors import SourceError, UsageError
from maxspan.languages import eql, plan
from maxspan.languages.resolve import check_schema, resolve
from maxspan.rules.model import Ruleset
from maxspan.sources.document import decode_line, flatten, unwrap

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
Event = Mapping[str, Any] | str | bytes


def parse(text: str) -> plan.Query:
    """Compile an EQL query to its plan, without looking at any data.

    Raises `QueryError` (code, span, hint) for what Elasticsearch's parser refuses, and for what its verifier refuses
    without knowing the fields: unknown functions, number and type of arguments, field against field, a condition that
    is not boolean.
    """
    return eql.parse(text)


def evaluate(text: str, event: Event | None = None, *, schema: Mapping[str, str] | None = None) -> plan.Constant:
    """Compute one EQL expression over one event: a string, number, boolean or None for null.

    Missing fields are null; of a field with several values the first counts for values, any for conditions. Raises
    `QueryError` for an expression that cannot be parsed.
    """
    expression = eql.parse_expression(text)
    document = _documents([event if event is not None else {}])
    types = UNTYPED if schema is None else schema
    return Evaluator(types).value(expression, flatten(next(document)))


def query(
    text: str,
    events: Iterable[Event],
    *,
    timestamp_field: str = "@timestamp",
    tiebreaker_field: str | None = "event.sequence",
    event_category_field: str = "event.category",
    schema: Mapping[str, str] | None = None,
    size: int | None = None,
    result_position: Literal["head", "tail"] | None = None,
    max_samples_per_key: int = 1,
) -> list[Match]:
    """Run one EQL query over events and give its matches in Elasticsearch's order.

    `events` are dictionaries or lines of JSON, nested or with dotted keys, also wrapped as search hits; `positions` of
    a match index them. Without a `schema` values speak for themselves, unknown fields are missing, the timestamp is a
    date and whole numbers in it are epoch milliseconds. With one (field name to Elasticsearch type, or
    `alias:other.field`) unknown fields are errors, and types decide comparisons.

    `size=None` is no limit; a size takes the last matches, or the first with `result_position="head"`, and goes under
    the first pipe. `max_samples_per_key` concerns samples. Raises `QueryError`; `SourceError` for an event that is no
    JSON object; `UsageError` for impossible arguments.
    """
    if size is not None and size < 0:
        raise UsageError("size must be zero or more")
    if max_samples_per_key < 1:
        raise UsageError("max_samples_per_key must be one or more")
    if result_position not in (None, "head", "tail"):
        raise UsageError('result_position is "head" or "tail"')
    compiled = eql.parse(text)
    if schema is not None:
        check_schema(schema)
        compiled = resolve(compiled, schema, text=text)
    documents = list(_documents(events))
    found = run(
        compiled,
        map(flatten, documents),
        names=FieldNames(timestamp_field, tiebreaker_field, event_category_field),
        types=schema,
        size=size,
        result_position=result_position,
        samples_per_key=max_samples_per_key,
    )
    return [
        Match(
            positions=tuple(None if event is None else event.position for event in match.events),
            events=tuple(None if event is None else documents[event.position] for event in match.events),
            join_keys=keys,
        )
        for match, keys in found
    ]


def _documents(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    for number, event in enumerate(events):
        if isinstance(event, Mapping):
            yield unwrap(dict(event)).source
            continue
        try:
            yield unwrap(decode_line(event.encode() if isinstance(event, str) else event)).source
        except ValueError as error:
            raise SourceError(f"event {number} is no JSON object: {error}") from None


def load_rules(paths: Paths) -> Ruleset:
    """Read rules from files, folders and globs: Elastic TOML, Kibana exports, Endpoint behaviour TOML.

    Nothing is raised for a bad rule: `.problems` lists what is wrong, `.runnable` the rules that can run.
    """
    from maxspan.rules.load import load_rules as load

    return load(_listed(paths))


def scan(rules: Ruleset | Paths, events: Paths, *, ignore_index: bool = False) -> Iterator[dict[str, Any]]:
    """Run rules over event files (paths, folders, globs) and give the alerts as documents.

    Gives building blocks and shell alerts for sequences, one alert per event otherwise. Results do not depend on the
    order of lines. For counts of what could not be read use `maxspan.engine.run`.
    """
    from maxspan.alerts.scan import scan_alerts

    ruleset = rules if isinstance(rules, Ruleset) else load_rules(rules)
    yield from scan_alerts(ruleset, _listed(events), ignore_index=ignore_index)


def _listed(paths: Paths) -> list[str]:
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    return [os.fspath(path) for path in paths]
