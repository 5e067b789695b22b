"""The books balance for whatever happens, and say so where they do not."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.sensor.host import EPOCH_NS, Host, execute, fork, leave
from tests.sensor.replay import ReplayBackend

from maxspan.engine.match import MatchedEvent, RuleMatch
from maxspan.languages import eql
from maxspan.rules.model import Rule
from maxspan.sensor.backend import KindCounters
from maxspan.sensor.collector import Collector
from maxspan.sensor.encoder import Encoded
from maxspan.sensor.ledger import Flows, Row, read_ledger
from maxspan.sensor.losses import Losses, window_of

COUNTS = st.integers(0, 50)


@given(st.lists(st.tuples(st.sampled_from(["fork", "exec", "exit"]), st.booleans()), max_size=40), st.integers(1, 7))
def test_books_balance_while_records_are_lost_and_after(steps: list[tuple[str, bool]], batch: int) -> None:
    host = Host()
    made = {"fork": lambda n: fork(n, n), "exec": lambda n: execute(n, n, "/bin/x", "x"), "exit": lambda n: leave(n, n)}
    records = [(made[kind](number), lost) for number, (kind, lost) in enumerate(steps, start=2)]
    backend = ReplayBackend(records, batch=batch)
    collector = Collector(backend, hashes=False, read_all=list, table=host.table)
    assert collector.start() == []
    taken = 0
    while lines := collector.poll(0):
        taken += len(lines)
        ledger = collector.ledger()
        assert ledger.errors() == []
        assert all(row.seen == row.received + row.waiting + row.lost for row in ledger.rows)
    ledger = collector.ledger()
    assert ledger.errors(drained=True) == []
    assert ledger.lost == sum(lost for _, lost in steps)
    assert taken == ledger.events == len(steps) - ledger.lost


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_what_does_not_add_up_is_said(
    seen: int, sent: int, lost: int, received: int, events: int, used: int, aside: int
) -> None:
    row = Row("exec", seen, sent, lost, 0, received, events, used, aside, 0)
    wrong = (seen != sent + lost) + (received > sent) + (received != events + used + aside)
    assert len(row.errors(drained=False)) == wrong
    assert len(row.errors(drained=True)) == wrong + (received < sent)


def test_events_that_did_not_reach_the_rules_or_the_file_are_said() -> None:
    encoded = {"fork": Encoded(received=3, events=3)}
    kernel = {"fork": KindCounters(seen=3, sent=3)}
    good = read_ledger(kernel, encoded, Flows(fed=3, written=2, not_written=1), keeps_events=True)
    assert good.errors(drained=True) == []
    assert read_ledger(kernel, encoded, Flows(fed=2)).errors() == [
        "3 events, 0 of running processes and 0 ledgers, but 2 went to the rules"
    ]
    unwritten = read_ledger(kernel, encoded, Flows(fed=3, written=2), keeps_events=True)
    assert unwritten.errors() == ["3 events, but 2 written and 0 that could not be"]


def test_a_reading_is_an_event_of_its_own_data_stream() -> None:
    host = Host()
    backend = ReplayBackend([(fork(2, 2), False), (fork(3, 3), True)])
    collector = Collector(backend, hashes=False, read_all=list, table=host.table)
    collector.start()
    collector.poll(0)
    first = json.loads(collector.ledger_line(collector.ledger(), EPOCH_NS))
    assert first["event"]["dataset"] == "maxspan.ledger"
    assert first["event"]["kind"] == "metric"
    assert first["data_stream"] == {"dataset": "maxspan.ledger", "namespace": "default", "type": "logs"}
    told = first["maxspan"]["ledger"]
    assert told["kinds"]["fork"] == {
        "seen": 2,
        "sent": 1,
        "lost": 1,
        "clipped": 0,
        "received": 1,
        "events": 1,
        "used": 0,
        "aside": 0,
        "late": 0,
    }
    assert (told["lost"], told["lost_since_last"], told["balanced"]) == (1, 1, True)
    second = json.loads(collector.ledger_line(collector.ledger(), EPOCH_NS))["maxspan"]["ledger"]
    assert (second["lost"], second["lost_since_last"], second["ledgers"]) == (1, 0, 1)


def test_lost_ends_make_the_table_look_at_proc() -> None:
    host = Host()
    backend = ReplayBackend([(fork(2, 2), False), (leave(2, 2), True)])
    collector = Collector(backend, hashes=False, read_all=list, table=host.table)
    collector.start()
    collector.poll(0)
    assert 2 in host.table.live
    collector.poll(0)
    collector.ledger()
    assert host.table.live == {}
    assert host.table.counters.missed_ends == 1


def rule_of(query: str) -> Rule:
    return Rule(id="r", name="r", type="eql", language="eql", query=query, plan=eql.parse(query))


def match_at(query: str, *times: int | None) -> RuleMatch:
    events = tuple(MatchedEvent(b"{}", time, 0) if time is not None else None for time in times)
    return RuleMatch(rule_of(query), events)


def test_the_window_of_a_sequence_is_its_maxspan() -> None:
    query = "sequence with maxspan=5s [process where true] [process where true]"
    second = 1_000_000_000
    assert window_of(match_at(query, 100 * second, 101 * second)) == (96 * second, 101 * second)
    assert window_of(match_at("process where true", 7)) == (7, 7)
    missing = "sequence with maxspan=5s [process where true] ![process where true]"
    assert window_of(match_at(missing, 100 * second, None)) == (100 * second, 105 * second)


def test_a_loss_counts_for_the_windows_that_it_touches() -> None:
    losses = Losses(0)
    assert losses.look(10, 0) == 0
    assert losses.look(20, 5) == 5
    assert losses.look(30, 5) == 0
    assert losses.look(40, 6) == 1
    assert losses.between(0, 9) == 0
    assert losses.between(0, 10) == 5
    assert losses.between(15, 16) == 5
    assert losses.between(21, 29) == 0
    assert losses.between(20, 30) == 6
    assert losses.of(match_at("process where true", 35)) == 1


def test_very_many_periods_of_loss_are_joined_not_forgotten() -> None:
    losses = Losses(0)
    for number in range(1, 10_001):
        losses.look(number, number)
    assert losses.between(0, 10_000) == 10_000
