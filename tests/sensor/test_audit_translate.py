"""Audit events become records: a recording of one shell session, without and with what /proc would tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from maxspan.sensor.audit import procfs
from maxspan.sensor.audit.assemble import Assembler, AuditEvent
from maxspan.sensor.audit.message import parse
from maxspan.sensor.audit.processes import Processes
from maxspan.sensor.audit.translate import Translator
from maxspan.sensor.records import (
    ARGS_CLIPPED,
    NO_IMAGE,
    OWN,
    UNSURE,
    Accept,
    Connect,
    Connected,
    Datagram,
    Exec,
    Exit,
    FileOpen,
    FilePath,
    Flow,
    Fork,
    Record,
)

RECORDED = Path(__file__).with_name("audit_recorded.txt")
OFFSET = 1_795_000_000_000_000_000


@pytest.fixture(autouse=True)
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of the recording are gone; their numbers may be anybody's now."""

    def replace(name: str, value: object) -> None:
        monkeypatch.setattr(procfs, name, lambda *_: value)

    replace("stat", None)
    replace("descriptors", ())
    replace("image", NO_IMAGE)
    replace("cgroup", "")
    replace("flow_of", None)
    replace("same_pid_namespace", True)
    replace("is_thread", False)
    replace("link", "")


def recorded_events() -> list[AuditEvent]:
    assembler = Assembler()
    out = []
    for line in RECORDED.read_bytes().splitlines():
        kind, _, text = line.partition(b" ")
        message = parse(int(kind), text)
        assert message is not None
        out.extend(assembler.add(message))
    return out


def translator(read_stat: Callable[[int], procfs.Stat | None] = lambda _: None, own_pid: int = 0) -> Translator:
    processes = Processes(boot_offset_ns=OFFSET, started_ns=OFFSET, read_stat=read_stat)
    return Translator(processes, own_pid=own_pid)


def recorded_records() -> list[Record]:
    maker = translator()
    return [record for event in recorded_events() for record in maker.translate(event)]


T = TypeVar("T", bound=Record)


def of(kind: type[T]) -> list[T]:
    return [record for record in recorded_records() if type(record) is kind]


def test_every_process_is_forked_once_before_anything_else_and_ends_once() -> None:
    forked: set[int] = set()
    ended: set[int] = set()
    for record in recorded_records():
        if isinstance(record, Fork):
            assert record.pid not in forked
            forked.add(record.pid)
        assert record.pid in forked
        assert record.pid not in ended
        assert record.start_ns > 0
        if isinstance(record, Exit):
            ended.add(record.pid)
    assert forked == ended
    assert len(forked) == 11


def test_children_know_their_parents() -> None:
    forks = {record.pid: record for record in of(Fork)}
    shell = next(record for record in of(Exec) if record.args[0] == "/bin/bash")
    children = [record for record in forks.values() if record.parent_pid == shell.pid]
    assert len(children) == 8
    assert {record.parent_start_ns for record in children} == {shell.start_ns}


def test_executions() -> None:
    by_name = {record.comm: record for record in of(Exec)}
    assert by_name["bash"].executable == "/usr/bin/bash"
    assert by_name["bash"].directory == "/"
    assert by_name["mv"].directory == "/dev/shm"
    assert by_name["mv"].args == ["mv", "maxspan-a", "maxspan b"]
    assert by_name["echo"].argc == 7
    assert not any(record.args_clipped for record in of(Exec))


def test_exit_codes() -> None:
    assert sorted(record.exit_code for record in of(Exit)) == [0] * 8 + [1, 3, 7]


def test_connections() -> None:
    tried = [(record.flow.remote, record.flow.remote_port) for record in of(Connect)]
    # a refused one, one that is accepted, one to a datagram port (without /proc the difference is not known), and one
    # that is written as IPv6 but is IPv4
    assert [host for host, _ in tried] == ["127.0.0.1"] * 4
    assert [port for _, port in tried][0::3] == [1, 1]
    assert all(record.flow.family == 2 and record.flags & UNSURE for record in of(Connect))
    assert len(of(Connected)) == 2
    accepted = of(Accept)
    assert [(record.flow.remote, record.role) for record in accepted] == [("127.0.0.1", "server")]


def test_the_socket_tells_more_while_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def flow_of(_: int, number: int) -> Flow:
        return Flow(
            2, 2 if number == 5 else 1, 17 if number == 5 else 6, 1, "127.0.0.1", 50000 + number, "127.0.0.1", 9
        )

    monkeypatch.setattr(procfs, "flow_of", flow_of)
    datagrams = of(Datagram)
    assert [(record.flow.protocol, record.flow.local_port, record.flow.remote_port) for record in datagrams] == [
        (17, 50005, 9)
    ]
    assert [record.flow.local_port for record in of(Connect)] == [50003, 50004, 50006]
    assert not any(record.flags & UNSURE for record in of(Connect))


def test_files() -> None:
    opened = [(record.path, record.created, record.truncated) for record in of(FileOpen)]
    assert opened == [("/dev/shm/maxspan-a", True, False), ("/dev/shm/maxspan-c", False, True)]
    named = [(record.operation, record.source, record.path) for record in of(FilePath)]
    assert named == [
        ("rename", "/dev/shm/maxspan-a", "/dev/shm/maxspan b"),
        ("link", "/dev/shm/maxspan b", "/dev/shm/maxspan-c"),
        ("unlink", "", "/dev/shm/maxspan b"),
        ("unlink", "", "/dev/shm/maxspan-c"),
    ]
    assert not any(record.unsure for record in of(FilePath))


def event(**fields: str) -> AuditEvent:
    call = {"arch": "c000003e", "success": "yes", "exit": "0", "ppid": "1", "pid": "100"} | fields
    return AuditEvent(OFFSET + 10**9, 1, {name: value.encode() for name, value in call.items()}, [], [])


def test_threads_are_no_processes() -> None:
    made = translator().translate(event(syscall="56", exit="101", a0="3d0f00"))
    assert [type(record) for record in made] == [Fork]  # of the caller, which was not known before
    assert made[0].pid == 100


def test_a_child_in_another_pid_namespace_is_known_by_its_own_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "same_pid_namespace", lambda _: False)
    maker = translator()
    assert [record.pid for record in maker.translate(event(syscall="56", exit="7", a0="1200011"))] == [100]
    made = maker.translate(event(syscall="231", pid="500", ppid="100", a0="0"))
    assert [(type(record), record.pid) for record in made] == [(Fork, 500), (Exit, 500)]


def test_a_process_that_is_older_than_the_sensor_was_not_forked_now() -> None:
    def read_stat(pid: int) -> procfs.Stat | None:
        return procfs.Stat(1, 1, 1, 0, -5)

    assert translator(read_stat).translate(event(syscall="231", a0="0"))[0].kind == "exit"


def test_the_second_thread_that_exits_says_nothing() -> None:
    maker = translator()
    assert len(maker.translate(event(syscall="231", a0="0"))) == 2
    assert maker.translate(event(syscall="231", a0="0")) == []


def test_own_events_are_marked() -> None:
    assert all(record.flags & OWN for record in translator(own_pid=100).translate(event(syscall="231", a0="0")))


def test_an_event_without_all_its_messages_says_so() -> None:
    part = event(syscall="59")
    part.complete = False
    (_, made) = translator().translate(part)
    assert isinstance(made, Exec)
    assert made.flags & ARGS_CLIPPED


def test_unknown_system_calls_are_counted() -> None:
    maker = translator()
    assert maker.translate(event(syscall="9999")) == []
    assert maker.ignored == 1


def test_a_killed_process_is_missed_at_the_next_look() -> None:
    maker = translator()
    maker.translate(event(syscall="56", exit="4194303", a0="1200011"))
    ends = maker.ended_unseen(OFFSET + 60 * 10**9)
    assert 4194303 in [record.pid for record in ends]
    assert all(record.flags & UNSURE for record in ends)
    assert len(maker.processes) == 0 or all(record.pid != 4194303 for record in maker.ended_unseen(OFFSET + 70 * 10**9))
