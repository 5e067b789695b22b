"""The audit backend on this host: it sees what happens, and leaves the audit subsystem as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maxspan.errors import SensorError
from maxspan.sensor.audit import AuditBackend
from maxspan.sensor.audit.netlink import LOCKED, AuditSocket, Status
from maxspan.sensor.audit.rules import owner_of
from maxspan.sensor.records import Accept, Connect, Datagram, Exec, Exit, FileOpen, FilePath, Fork, Record

pytestmark = pytest.mark.root

SECONDS = 20.0


def status() -> Status:
    control = AuditSocket()
    try:
        return control.status()
    finally:
        control.close()


def own_rules() -> int:
    control = AuditSocket()
    try:
        return sum(owner_of(rule) != 0 for rule in control.rules())
    finally:
        control.close()


@pytest.fixture
def before() -> Status:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    try:
        found = status()
    except SensorError as error:
        pytest.skip(f"no audit here: {error}")
    if found.enabled == LOCKED:
        pytest.skip("the audit configuration of this host is locked")
    return found


@pytest.fixture
def backend(before: Status, tmp_path: Path) -> Iterator[AuditBackend]:
    made = AuditBackend(watched=[str(tmp_path)])
    try:
        made.start()
        yield made
    finally:
        made.close()


def poll_until(backend: AuditBackend, done: Callable[[list[Record]], bool]) -> list[Record]:
    out: list[Record] = []
    deadline = time.monotonic() + SECONDS
    while not done(out) and time.monotonic() < deadline:
        out.extend(backend.poll(100))
    return out


PROGRAM = """
import os, socket, subprocess, sys
listening = socket.socket(); listening.bind(("127.0.0.1", 0)); listening.listen()
calling = socket.create_connection(listening.getsockname())
accepted, _ = listening.accept()
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); datagram.connect(("127.0.0.1", 9))
open(sys.argv[1], "w").close(); os.rename(sys.argv[1], sys.argv[1] + "2")
subprocess.run(["/bin/sh"], stdin=accepted, input=None, timeout=0.5) if os.fork() == 0 else os.wait()
"""


def test_it_sees_a_shell_on_a_socket(backend: AuditBackend, tmp_path: Path) -> None:
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path / "made")], stderr=subprocess.DEVNULL)
    records = poll_until(backend, lambda out: any(isinstance(item, Exit) and item.pid == program.pid for item in out))
    program.wait(SECONDS)
    mine = [record for record in records if record.pid == program.pid]
    start = next(record for record in mine if isinstance(record, Exec))
    assert start.args[1:3] == ["-c", PROGRAM]
    assert start.parent_pid == os.getpid()
    tried = [record.flow for record in mine if isinstance(record, Connect)]
    taken = [record.flow for record in mine if isinstance(record, Accept)]
    assert tried[0].remote == "127.0.0.1"
    assert tried[0].remote_port == taken[0].local_port or not taken[0].local_port
    assert [record.flow.remote_port for record in mine if isinstance(record, Datagram)] in ([9], [])
    opened = [record for record in mine if isinstance(record, FileOpen)]
    assert [(record.path, record.created) for record in opened] == [(str(tmp_path / "made"), True)]
    renamed = [(record.source, record.path) for record in mine if isinstance(record, FilePath)]
    assert renamed == [(str(tmp_path / "made"), str(tmp_path / "made2"))]
    shell = next(record for record in records if isinstance(record, Exec) and record.args == ["/bin/sh"])
    assert shell.descriptors[0].type == "socket"
    assert shell.descriptors[0].flow is not None
    assert shell.descriptors[0].flow.remote == "127.0.0.1"
    forks = {record.pid: record.parent_pid for record in records if isinstance(record, Fork)}
    assert forks[forks[shell.pid]] == program.pid


def test_everything_is_as_it_was_afterwards(before: Status) -> None:
    rules = own_rules()
    made = AuditBackend()
    made.start()
    try:
        assert own_rules() > rules
        assert status().enabled
        assert status().backlog_wait_time == 0
    finally:
        made.close()
        made.close()
    after = status()
    assert own_rules() == rules
    assert (after.enabled, after.backlog_limit, after.backlog_wait_time) == (
        before.enabled,
        before.backlog_limit,
        before.backlog_wait_time,
    )


KILLED = """
import os, signal
from maxspan.sensor.audit import AuditBackend
AuditBackend().start()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_rules_of_a_killed_run_go_with_the_next(before: Status) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, timeout=SECONDS)
    assert done.returncode == -signal.SIGKILL
    assert own_rules() > 0
    made = AuditBackend()
    made.start()
    made.close()
    assert own_rules() == 0
    control = AuditSocket()
    control.set_status(
        enabled=before.enabled, backlog_limit=before.backlog_limit, backlog_wait_time=before.backlog_wait_time
    )
    control.close()


def test_thousands_of_processes_are_counted(backend: AuditBackend) -> None:
    count = 2000
    script = f"for ((i = 0; i < {count}; i++)); do /bin/true; done"
    program = subprocess.Popen(["/bin/bash", "-c", script])
    records = poll_until(
        backend,
        lambda out: bool(out) and any(isinstance(item, Exit) and item.pid == program.pid for item in out[-500:]),
    )
    program.wait(SECONDS)
    counters = backend.counters()
    seen = sum(1 for item in records if isinstance(item, Exec) and item.parent_pid == program.pid)
    assert seen == count or counters["audit"].lost > 0
    for kind in counters.values():
        assert kind.seen == kind.sent + kind.lost


def test_without_the_right_it_says_what_is_missing(before: Status) -> None:
    script = "from maxspan.sensor.audit import AuditBackend\nAuditBackend().start()"
    command = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=SECONDS)
    if "Permission denied" in done.stderr and "SensorError" not in done.stderr:
        pytest.skip("another user may not run this interpreter")
    assert "CAP_AUDIT_CONTROL" in done.stderr


def test_poll_before_start_is_an_error() -> None:
    with pytest.raises(SensorError):
        AuditBackend().poll(0)
