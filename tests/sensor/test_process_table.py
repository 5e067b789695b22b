"""Processes keep their identity through exec, reuse of pids, lost and late records; and memory stays bounded."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.sensor.host import ROOT, Host, execute, fork, leave, running, start_of

from maxspan.sensor.records import Accept, Close, Connect, Flow, Ids, IdsChange


def shell(host: Host) -> None:
    host.table.snapshot([running(1, 1, 0, "/usr/lib/systemd/systemd"), running(10, 50, 1, "/usr/bin/bash")])


def test_a_child_runs_its_parents_program_until_it_executes_its_own() -> None:
    host = Host()
    shell(host)
    forked, executed, ended = host.events(
        fork(20, 60, 10, 50), execute(20, 60, "/usr/bin/ls", "ls", "-l"), leave(20, 60, 2)
    )
    assert forked["process"]["name"] == "bash"
    assert forked["process"]["parent"]["name"] == "bash"
    assert executed["process"]["name"] == "ls"
    assert executed["process"]["previous"]["executable"] == "/usr/bin/bash"
    assert ended["process"]["args"] == ["ls", "-l"]
    assert ended["process"]["exit_code"] == 2
    ids = {event["process"]["entity_id"] for event in (forked, executed, ended)}
    assert ids == {host.entity(20, 60)}
    assert {event["process"]["parent"]["entity_id"] for event in (forked, executed, ended)} == {host.entity(10, 50)}


def test_the_parent_is_the_one_that_forked_even_when_it_is_gone() -> None:
    host = Host()
    shell(host)
    host.events(fork(20, 60, 10, 50), fork(21, 61, 20, 60), leave(20, 60))
    event = host.event(execute(21, 61, "/usr/bin/id", "id", parent_pid=1, parent_start_ns=start_of(1)))
    assert event["process"]["parent"]["entity_id"] == host.entity(20, 60)


def test_a_reused_pid_is_another_entity() -> None:
    host = Host()
    shell(host)
    first = host.events(fork(20, 60, 10, 50), leave(20, 60))
    again = host.events(fork(20, 90, 10, 50), execute(20, 90, "/usr/bin/id", "id"))
    assert first[0]["process"]["entity_id"] != again[0]["process"]["entity_id"]
    assert again[1]["process"]["entity_id"] == host.entity(20, 90)


def test_a_reused_pid_whose_end_was_lost_is_counted() -> None:
    host = Host()
    shell(host)
    host.events(fork(20, 60, 10, 50), fork(20, 90, 10, 50))
    assert host.table.counters.missed_ends == 1
    assert host.table.live[20].ticks == 90
    assert host.table.find(20, start_of(60)) is host.table.ended[20]


def test_late_records_of_an_ended_process_tell_its_parents() -> None:
    host = Host()
    shell(host)
    flow = Flow(2, 1, 6, 1, "192.0.2.2", 1000, "192.0.2.1", 80)
    host.events(fork(20, 60, 10, 50), execute(20, 60, "/usr/bin/nc", "nc"))
    host.event(Connect(time_ns=1, pid=20, start_ns=start_of(60), flow=flow, socket=7))
    host.events(leave(20, 60))
    event = host.event(Close(time_ns=2, pid=20, start_ns=start_of(60), flow=flow, socket=7, bytes_sent=5))
    assert event["process"]["name"] == "nc"
    assert event["process"]["parent"]["entity_id"] == host.entity(10, 50)
    assert event["source"]["bytes"] == 5
    assert host.encoder.counters["close"].late == 1


def test_the_end_of_a_connection_belongs_to_its_process_long_after() -> None:
    host = Host(ended=2)
    shell(host)
    flow = Flow(2, 1, 6, 1, "192.0.2.2", 80, "192.0.2.1", 1000)
    host.events(fork(20, 60, 10, 50), execute(20, 60, "/usr/sbin/httpd", "httpd"))
    host.event(Accept(time_ns=1, pid=20, start_ns=start_of(60), flow=flow, socket=7, role="server"))
    host.events(leave(20, 60))
    for pid in range(30, 40):
        host.events(fork(pid, 70 + pid, 10, 50), leave(pid, 70 + pid))
    event = host.event(Close(time_ns=2, pid=20, start_ns=start_of(60), flow=flow, socket=7, role="server"))
    assert event["process"]["name"] == "httpd"
    assert event["source"]["ip"] == "192.0.2.1"


def test_a_process_whose_fork_was_lost_is_read_from_proc_if_the_start_agrees() -> None:
    host = Host()
    shell(host)
    host.running[20] = running(20, 60, 10, "/usr/bin/vim")
    host.running[21] = running(21, 99, 10, "/usr/bin/other")
    change = Ids(uid=0, euid=1000, session=10, group=10)
    seen = host.event(IdsChange(time_ns=1, pid=20, start_ns=start_of(60), ids=change, comm="vim"))
    assert seen["process"]["executable"] == "/usr/bin/vim"
    other = host.event(leave(21, 61, comm="nameless"))
    assert "executable" not in other["process"]
    assert other["process"]["name"] == "nameless"
    assert other["process"]["entity_id"] == host.entity(21, 61)
    assert (host.table.counters.found, host.table.counters.guessed) == (1, 1)


def test_proc_and_the_fork_of_the_same_process_make_one_entity() -> None:
    host = Host()
    shell(host)
    host.table.snapshot([running(20, 60, 10, "/usr/bin/sleep")])
    event = host.event(fork(20, 60, 10, 50))
    assert event["process"]["entity_id"] == host.entity(20, 60)
    assert host.table.counters.missed_ends == 0


def test_the_snapshot_does_not_take_the_place_of_a_process_that_was_seen() -> None:
    host = Host()
    shell(host)
    host.events(fork(20, 60, 10, 50), execute(20, 60, "/usr/bin/id", "id"))
    assert host.table.snapshot([running(20, 60, 10, "/usr/bin/bash")]) == []
    assert host.table.live[20].program.name == "id"


def test_leaders_are_found_also_when_they_have_ended() -> None:
    host = Host()
    shell(host)
    session = Ids(session=20, group=20, tty=136 << 20)
    host.events(fork(20, 60, 10, 50), execute(20, 60, "/usr/bin/bash", "-bash", ids=session))
    host.events(fork(21, 61, 20, 60, ids=session), leave(20, 60, ids=session))
    event = host.event(execute(21, 61, "/usr/bin/id", "id", ids=Ids(session=20, group=21, tty=136 << 20)))
    assert event["process"]["session_leader"]["entity_id"] == host.entity(20, 60)
    assert event["process"]["session_leader"]["same_as_process"] is False
    assert event["process"]["group_leader"]["entity_id"] == host.entity(21, 61)
    assert event["process"]["group_leader"]["same_as_process"] is True
    assert event["process"]["interactive"] is True


def test_the_own_process_and_its_children_are_marked() -> None:
    host = Host(own_pid=10)
    shell(host)
    event = host.event(fork(20, 60, 10, 50))
    assert event["maxspan"] == {"self": True}
    assert "maxspan" not in host.event(fork(21, 61, 1, 1))


def test_lost_ends_are_found_by_a_sweep() -> None:
    host = Host()
    shell(host)
    host.events(fork(20, 60, 10, 50), fork(21, 61, 10, 50))
    host.running |= {1: running(1, 1), 10: running(10, 50), 21: running(21, 61)}
    assert host.table.sweep() == 1
    assert sorted(host.table.live) == [1, 10, 21]


def test_more_live_processes_than_there_is_room_for_are_given_up_and_counted() -> None:
    host = Host(live=50)
    for pid in range(100, 200):
        host.running[pid] = running(pid, pid)
        host.events(fork(pid, pid))
    assert len(host.table.live) <= 50
    assert host.table.counters.evicted == 50


def test_a_change_that_changes_nothing_is_no_event() -> None:
    host = Host()
    shell(host)
    host.events(fork(20, 60, 10, 50))
    assert host.events(IdsChange(time_ns=1, pid=20, start_ns=start_of(60), ids=ROOT)) == []
    other = Ids(uid=1000, euid=0, session=10, group=10)
    event = host.event(IdsChange(time_ns=1, pid=20, start_ns=start_of(60), ids=other))
    assert event["event"]["action"] == "uid_change"
    assert event["user"]["id"] == "0"
    assert event["user"]["Ext"]["real"]["id"] == "1000"


def test_a_chain_of_ended_processes_holds_no_memory() -> None:
    host = Host(ended=4)
    shell(host)
    parent, parent_ticks = 10, 50
    for number in range(200):
        pid, ticks = 100 + number, 100 + number
        host.events(fork(pid, ticks, parent, parent_ticks), leave(parent, parent_ticks))
        parent, parent_ticks = pid, ticks
    depth, process = 0, host.table.live[parent]
    while process.parent is not None:
        depth, process = depth + 1, process.parent
    assert depth <= 2


PIDS = st.integers(2, 6)
STEPS = st.lists(
    st.tuples(st.sampled_from(["fork", "exec", "exit", "lost fork", "lost exit", "late"]), PIDS, PIDS), max_size=60
)


@given(STEPS)
def test_whatever_comes_identities_hold(steps: list[tuple[str, int, int]]) -> None:
    host = Host(ended=3)
    alive: dict[int, int] = {}
    parents: dict[tuple[int, int], tuple[int, int]] = {}
    clock = 10
    for step, pid, other in steps:
        clock += 1
        if step in ("fork", "lost fork") and other in alive and pid not in alive:
            alive[pid] = clock
            if step == "fork":
                parents[pid, clock] = (other, alive[other])
                check(host, host.event(fork(pid, clock, other, alive[other])), pid, clock, parents)
        elif step == "fork" and not alive:
            alive[pid] = clock
            host.events(fork(pid, clock))
        elif step == "exec" and pid in alive:
            ticks = alive[pid]
            check(host, host.event(execute(pid, ticks, f"/bin/p{clock}", f"p{clock}")), pid, ticks, parents)
        elif step in ("exit", "lost exit") and pid in alive:
            ticks = alive.pop(pid)
            if step == "exit":
                check(host, host.event(leave(pid, ticks)), pid, ticks, parents)
        elif step == "late" and pid in alive:
            event = host.event(Connect(time_ns=clock, pid=pid, start_ns=start_of(alive[pid]), flow=Flow(2, 1, 6)))
            check(host, event, pid, alive[pid], parents)
    table = host.table
    assert len(table.ended) <= 3
    assert all(process.ended and process.parent is None for process in table.ended.values())
    assert all(not process.ended for process in table.live.values())
    for counter in host.encoder.counters.values():
        assert counter.received == counter.events + counter.used + counter.aside


def check(
    host: Host,
    event: dict[str, Any],
    pid: int,
    ticks: int,
    parents: dict[tuple[int, int], tuple[int, int]],
) -> None:
    assert event["process"]["pid"] == pid
    assert event["process"]["entity_id"] == host.entity(pid, ticks)
    parent = event["process"].get("parent")
    if (pid, ticks) in parents and parent is not None:
        assert parent["entity_id"] == host.entity(*parents[pid, ticks])


def test_what_ended_siblings_know_of_others_is_kept_once() -> None:
    host = Host()
    shell(host)
    host.events(*(record for pid in (20, 21, 22) for record in (fork(pid, 60, 10, 50), leave(pid, 60))))
    kept = [host.table.ended[pid].relations for pid in (20, 21, 22)]
    assert b'"parent"' in kept[0]
    assert kept[0] is kept[1] is kept[2]
    host.events(fork(23, 61, 10, 50), execute(10, 50, "/usr/bin/zsh", "zsh"), leave(23, 61), leave(20, 60))
    assert host.table.ended[23].relations != kept[0]
    assert host.table.ended[20].relations is kept[0]
