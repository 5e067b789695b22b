"""Ids by content: the same for the same events, wherever they stand; different for everything else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from maxspan.alerts.encode import to_json
from tests.alerts.detections import SEQUENCE, a_rule, connection, groups, lines, started

UUID = "kibana.alert.uuid"


def ids(rule: Any, events: list[Any], path: str = "<events>") -> list[str]:
    return [str(document[UUID]) for group in groups(rule, events, path) for document in group.documents]


def test_a_second_scan_makes_the_same_documents() -> None:
    events = [connection(), started()]
    once, again = groups(a_rule(SEQUENCE), events, "a.ndjson"), groups(a_rule(SEQUENCE), events, "elsewhere/b.ndjson")
    assert [to_json(doc) for doc in once[0].documents] == [to_json(doc) for doc in again[0].documents]


def test_another_way_to_write_an_event_is_the_same_event() -> None:
    event = {"@timestamp": "2026-11-24T03:06:14Z", "event": {"category": ["process"]}, "process": {"pid": 1, "x": None}}
    dotted = b'{"process.pid": 1 , "event.category":"process","@timestamp":"2026-11-24T03:06:14Z", "empty": {}}'
    assert ids(a_rule(), [event]) == ids(a_rule(), [dotted])


def test_the_rule_and_the_index_are_part_of_the_id() -> None:
    hit = {"_index": "logs-a", "_id": "1", "_source": started()}
    seen = ids(a_rule(), [hit]) + ids(a_rule(id="rule-2"), [hit]) + ids(a_rule(), [{**hit, "_index": "logs-b"}])
    assert len(set(seen)) == 3


def test_the_id_of_an_exported_event_is_used() -> None:
    hit = {"_index": "logs-a", "_id": "abc", "_source": started()}
    (group,) = groups(a_rule(), [hit])
    assert group.head["kibana.alert.ancestors"] == [{"id": "abc", "type": "event", "index": "logs-a", "depth": 0}]
    changed = {**hit, "_source": {**started(), "enriched": True}}
    assert ids(a_rule(), [hit]) == ids(a_rule(), [changed])


EVENTS = st.lists(
    st.builds(
        lambda kind, host, at, number: {
            "@timestamp": f"2026-11-24T03:06:{at:02d}Z",
            "event": {"category": kind, "sequence": number},
            "host": {"id": host},
        },
        st.sampled_from(["network", "process", "file"]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 9),
        st.integers(0, 10**6),
    ),
    max_size=12,
    unique_by=lambda event: event["event"]["sequence"],  # distinct events, and no ties but those
)
QUERIES = st.sampled_from(
    [
        "any where true",
        "sequence by host.id with maxspan=4s [network where true] [process where true]",
        "sequence by host.id [any where true] with runs=2 until [file where true]",
        "sequence by host.id with maxspan=4s [network where true] ![file where true] [process where true]",
    ]
)


@given(EVENTS, QUERIES, st.randoms(use_true_random=False))
def test_ids_are_unique_and_stable_under_reorder(events: list[Any], query: str, random: Any) -> None:
    rule = a_rule(query)
    first = ids(rule, events)
    assert len(set(first)) == len(first)
    shuffled = list(events)
    random.shuffle(shuffled)
    assert sorted(ids(rule, shuffled, "other.ndjson")) == sorted(first)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_any_event_becomes_an_alert_that_is_json(event: dict[str, Any]) -> None:
    document = {**event, "@timestamp": 1_795_489_574_000}
    if "kibana" in document or any(key.startswith("kibana.") for key in document):
        return
    (group,) = groups(a_rule(), [lines([document]).strip()])
    again = json.loads(to_json(group.head))
    assert again["kibana.alert.uuid"] == group.id
