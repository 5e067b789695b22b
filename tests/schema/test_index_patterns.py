"""Index patterns against what events say of themselves."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.schema.index_patterns import IndexPatterns, told_by


def stream(dataset: str, type_: str = "logs", namespace: str = "default") -> dict[str, list[object]]:
    return {
        "data_stream.type": [type_],
        "data_stream.dataset": [dataset],
        "data_stream.namespace": [namespace],
    }


@pytest.mark.parametrize(
    ("patterns", "fields", "index", "applies"),
    [
        (["logs-endpoint.events.*"], stream("endpoint.events.process"), "", True),
        (["logs-endpoint.events.network*"], stream("endpoint.events.process"), "", False),
        (["logs-endpoint.events.process-*"], stream("endpoint.events.process"), "", True),
        (["metrics-*"], stream("endpoint.events.process"), "", False),
        (["auditbeat-*", "logs-*"], stream("x"), "", True),
        (["auditbeat-*"], stream("endpoint.events.process"), "", False),
        (["logs-*-prod"], stream("x"), "", False),
        (["logs-endpoint*"], {}, "", True),
        ([], stream("x"), "", True),
        (["logs-endpoint*"], {}, ".ds-logs-endpoint.events.file-default-2024.05.01-000001", True),
        (["logs-endpoint*"], {}, "restored-.ds-logs-endpoint.events.file-default-2024.05.01-000001", True),
        (["logs-endpoint*"], {}, "winlogbeat-8.1.0", False),
        (["winlogbeat-*"], {}, "remote:winlogbeat-8.1.0", True),
        (["remote:winlogbeat-*"], {}, "winlogbeat-8.1.0", True),
        (["logs-endpoint*"], {"event.dataset": ["endpoint.events.file"]}, "", True),
        (["logs-endpoint.events.process*"], {"event.dataset": ["endpoint.events.file"]}, "", False),
        (["winlogbeat-*"], {"event.dataset": ["endpoint.events.file"]}, "", True),
        (["logs-system.auth-*"], {"event.dataset": ["system.auth"]}, "filebeat-8", False),
        (["logs-*", "-logs-endpoint*"], stream("endpoint.events.file"), "", False),
        (["logs-*,-logs-endpoint*"], stream("system.auth"), "", True),
        (["-logs-endpoint*"], stream("system.auth"), "", True),
        (["<logs-{now/d}>"], stream("system.auth"), "", True),
        (["logs-endpoint*"], {"data_stream.dataset": ["endpoint.events.file"]}, "", True),
        (["logs-system*"], {"data_stream.dataset": ["endpoint.events.file"]}, "", False),
        (["logs-endpoint*"], {"_index": ["logs-system.auth-default"]}, "", False),
        (["logs-endpoint*"], {"event.dataset": [17], "data_stream.dataset": [None]}, "", True),
    ],
)
def test_applies(patterns: list[str], fields: dict[str, list[object]], index: str, applies: bool) -> None:
    assert IndexPatterns(patterns).apply_to(told_by(fields, index)) is applies


def test_a_star_in_an_event_is_no_wildcard() -> None:
    told = told_by(stream("*"))
    assert not IndexPatterns(["logs-endpoint*"]).apply_to(told)


def test_hostile_patterns_are_decided_quickly() -> None:
    patterns = IndexPatterns(["*a" * 400 + "b", "*" * 100_000])
    assert patterns.apply_to(told_by({}, "a" * 500))


globs = st.text(alphabet="ab*-", max_size=8)
words = st.text(alphabet="ab-", min_size=1, max_size=8)


@given(globs, words)
def test_a_known_name_is_matched_as_a_glob(pattern: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None
    if pattern.startswith("-") or not pattern:
        return
    assert IndexPatterns([pattern]).apply_to((name,)) is expected


@given(st.lists(globs, min_size=1, max_size=3), words, words)
def test_saying_less_never_excludes(patterns: list[str], dataset: str, namespace: str) -> None:
    """A rule that applies to an event applies too when the event leaves out its namespace."""
    included = [pattern for pattern in patterns if not pattern.startswith("-")]
    rule = IndexPatterns(included)
    full = told_by(stream(dataset, namespace=namespace))
    less = told_by({key: value for key, value in stream(dataset).items() if not key.endswith("namespace")})
    assert not rule.apply_to(full) or rule.apply_to(less)
