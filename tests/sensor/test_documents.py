"""Events have the shape of the recorded traces, key by key, and stay JSON whatever an attacker puts into them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sensor.host import ROOT, Host, at, execute, flat, fork, leave, running, start_of

from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.rules.load import load_rules
from maxspan.sensor.records import (
    ARGS_CLIPPED,
    CREATED,
    DELETED,
    UNSURE,
    Accept,
    BpfLoad,
    Cgroup,
    Close,
    Connect,
    Connected,
    Datagram,
    Descriptor,
    FileOpen,
    FilePath,
    Flow,
    Ids,
    Image,
    Module,
)
from maxspan.sources.chunk import Chunk

OURS = Path(__file__).resolve().parents[2] / "examples" / "traces"
CLIENT = Flow(2, 1, 6, 2, "10.77.0.2", 0, "10.77.0.1", 4242)
STANDING = Flow(2, 1, 6, 1, "10.77.0.2", 34194, "10.77.0.1", 4242)
SERVER = Flow(2, 1, 6, 1, "10.77.0.1", 2222, "10.77.0.2", 34194)
DATAGRAM = Flow(10, 2, 17, 1, "::1", 35205, "::1", 2222)
SOCKET = Descriptor("socket", 0, 77, STANDING)


def traces() -> Iterator[dict[str, Any]]:
    for path in sorted(OURS.glob("*/*.ndjson")):
        for line in path.read_text().splitlines():
            yield json.loads(line)


def recorded_keys() -> dict[str, dict[str, type]]:
    """Give the flat keys of each action in the recorded traces, with the type of their values."""
    found: dict[str, dict[str, type]] = {}
    for event in traces():
        keys = found.setdefault(event["event"]["action"], {})
        keys |= {key: type(value) for key, value in flat(event).items()}
    return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.encoder.now(at(0))
    made.table.snapshot(
        [
            running(1, 1, 0, "/usr/lib/systemd/systemd", Ids(session=1, group=1)),
            running(10, 50, 1, "/usr/bin/bash", args=["bash"]),
        ]
    )
    return made


def story(host: Host) -> list[dict[str, Any]]:
    """One event of every action that the traces have."""
    said = {"pid": 20, "tid": 20, "start_ns": start_of(60), "ids": ROOT, "comm": "bash"}
    sockets = (SOCKET, SOCKET, SOCKET)
    return host.events(
        fork(20, 60, 10, 50, comm="bash"),
        execute(
            20, 60, "/usr/bin/bash", "bash", "-i", descriptors=sockets, parent_pid=10, parent_start_ns=start_of(50)
        ),
        Connect(time_ns=at(700), flow=CLIENT, **said),
        Accept(time_ns=at(701), flow=SERVER, role="server", **said),
        Datagram(time_ns=at(702), flow=DATAGRAM, **said),
        leave(20, 60),
    )


def test_every_key_of_the_recorded_traces_is_there_with_the_same_type(host: Host) -> None:
    recorded = recorded_keys()
    events = {event["event"]["action"]: flat(event) for event in story(host)}
    assert set(events) == set(recorded)
    for action, keys in recorded.items():
        missing = {key for key in keys if key not in events[action]}
        assert not missing, action
        for key, kind in keys.items():
            assert type(events[action][key]) is kind, key


def test_what_does_not_vary_has_the_values_of_the_recorded_traces(host: Host) -> None:
    events = {event["event"]["action"]: event for event in story(host)}
    names = ("kind", "category", "type", "action", "module", "dataset")
    for recorded in traces():
        mine = events[recorded["event"]["action"]]
        assert [mine["event"][name] for name in names] == [recorded["event"][name] for name in names]
        assert mine["data_stream"] == recorded["data_stream"]
        assert mine["ecs"] == recorded["ecs"]
        assert mine["host"]["os"]["type"] == "linux"


def test_ids_and_order_of_events_are_unique_and_rising(host: Host) -> None:
    events = story(host)
    assert len({event["event"]["id"] for event in events}) == len(events)
    sequences = [event["event"]["sequence"] for event in events]
    assert sequences == sorted(set(sequences))


def test_names_of_users_and_groups_come_from_the_files(host: Host) -> None:
    ids = Ids(uid=1000, euid=0, gid=1000, egid=77, session=10, group=10)
    event = host.event(execute(10, 50, "/usr/bin/su", "su", ids=ids))
    assert event["user"] == {"id": "0", "name": "root", "Ext": {"real": {"id": "1000", "name": "alice"}}}
    assert event["group"] == {"id": "77", "Ext": {"real": {"id": "1000", "name": "alice"}}}
    assert event["process"]["real_user"] == {"id": "1000", "name": "alice"}


def test_an_exec_tells_terminal_container_environment_and_capabilities(host: Host) -> None:
    ids = Ids(session=10, group=10, tty=136 << 20 | 3, capabilities_effective=1 << 21 | 1, capabilities_permitted=1)
    group = "a" * 64
    host.events(Cgroup(time_ns=1, pid=10, cgroup=9, path=f"/system.slice/docker-{group}.scope"))
    record = execute(
        10,
        50,
        "/usr/bin/id",
        "id",
        ids=ids,
        cgroup=9,
        environment={"LD_PRELOAD": "/tmp/x.so"},
        flags=ARGS_CLIPPED | DELETED,
    )
    record.argc = 7
    event = host.event(record)
    process = event["process"]
    assert process["tty"] == {"char_device": {"major": 136, "minor": 3}}
    assert process["interactive"] is True
    assert event["container"] == {"id": group}
    assert process["env_vars"] == ["LD_PRELOAD=/tmp/x.so"]
    assert process["thread"]["capabilities"] == {
        "effective": ["CAP_CHOWN", "CAP_SYS_ADMIN"],
        "permitted": ["CAP_CHOWN"],
    }
    assert process["args_count"] == 7
    assert process["Ext"] == {"command_line_truncated": True, "executable_deleted": True}


def test_descriptors_are_told_with_both_ends(host: Host) -> None:
    descriptors = (SOCKET, Descriptor("pipe", 0, 5), Descriptor("tty", 136 << 20))
    told = host.event(execute(10, 50, "/bin/sh", "sh", descriptors=descriptors))["process"]["Ext"]
    assert told["stdin"] == {
        "type": "socket",
        "socket": {
            "family": 2,
            "type": 1,
            "proto": 6,
            "state": 1,
            "src": "10.77.0.2",
            "sport": 34194,
            "dst": "10.77.0.1",
            "dport": 4242,
        },
    }
    assert told["stdout"] == {"type": "pipe", "pipe": {"inode": "5"}}
    assert told["stderr"]["character_device"] == {"kind": "tty", "major": 136, "minor": 0}


def test_a_connection_that_ends_has_bytes_and_a_direction(host: Host) -> None:
    said = {"pid": 10, "start_ns": start_of(50)}
    closed = Close(time_ns=2, flow=STANDING, bytes_sent=10, bytes_received=20, **said)
    client = host.event(closed)
    assert client["event"]["action"] == "disconnect_received"
    assert client["event"]["type"] == ["end"]
    assert (client["source"]["bytes"], client["destination"]["bytes"]) == (10, 20)
    assert client["network"]["direction"] == "egress"
    server = host.event(Close(time_ns=2, flow=SERVER, bytes_sent=10, bytes_received=20, role="server", **said))
    assert (server["source"]["ip"], server["source"]["bytes"]) == ("10.77.0.2", 20)
    assert server["network"]["direction"] == "ingress"
    failed = host.event(Close(time_ns=2, flow=STANDING, established=False, **said))
    assert (failed["event"]["action"], failed["event"]["outcome"]) == ("connection_failed", "failure")
    assert "bytes" not in failed["source"]


def test_an_end_without_an_address_has_a_port_only(host: Host) -> None:
    flow = Flow(2, 1, 6, 2, "", 0, "10.77.0.1", 80)
    event = host.event(Connect(time_ns=2, pid=10, start_ns=start_of(50), flow=flow))
    assert event["source"] == {"port": 0}
    assert host.events(Connected(time_ns=2, pid=10, start_ns=start_of(50), flow=STANDING)) == []


def test_files_are_created_changed_renamed_and_deleted(host: Host) -> None:
    said = {"time_ns": 2, "pid": 10, "start_ns": start_of(50)}
    image = Image(5, 1, 12, 0o100644, 1, 1)
    created = host.event(FileOpen(path="/etc/cron.d/job.sh", image=image, flags=CREATED, **said))
    assert created["event"]["action"] == "creation"
    assert created["file"]["name"] == "job.sh"
    assert created["file"]["extension"] == "sh"
    assert (created["file"]["size"], created["file"]["mode"], created["file"]["type"]) == (12, "0644", "file")
    changed = host.event(FileOpen(path="/etc/.hidden", **said))
    assert changed["event"] | {"id": 0, "sequence": 0, "created": ""} == {
        "kind": "event",
        "category": ["file"],
        "type": ["change"],
        "action": "modification",
        "module": "endpoint",
        "dataset": "endpoint.events.file",
        "created": "",
        "id": 0,
        "sequence": 0,
    }
    assert "extension" not in changed["file"]
    renamed = host.event(FilePath(operation="rename", path="/etc/crontab", source="/tmp/x.new", **said))
    assert renamed["file"]["Ext"]["original"]["path"] == "/tmp/x.new"
    assert renamed["file"]["Ext"]["original"]["extension"] == "new"
    assert [
        host.event(FilePath(operation=operation, path="/etc/x", **said))["event"]["action"]
        for operation in ("unlink", "rmdir", "link", "symlink", "mkdir", "mknod", "truncate")
    ] == ["deletion", "deletion", "creation", "creation", "creation", "creation", "modification"]


def test_a_path_that_the_kernel_side_was_not_sure_of_is_judged_here(host: Host) -> None:
    said = {"time_ns": 2, "pid": 10, "start_ns": start_of(50), "flags": UNSURE}
    assert host.events(FilePath(operation="unlink", path="/var/x", **said)) == []
    assert len(host.events(FilePath(operation="rename", path="/var/x", source="/etc/y", **said))) == 1
    assert host.encoder.counters["path"].aside == 1


def test_modules_and_bpf_programs(host: Host) -> None:
    said = {"time_ns": 2, "pid": 10, "start_ns": start_of(50)}
    loaded = host.event(Module(name="rootkit", taints=1 << 12 | 1 << 13, **said))
    assert loaded["event"]["action"] == "load_module"
    assert loaded["process"]["Ext"]["load_module"] == {"name": "rootkit", "taints": "12288", "taint_flags": "OE"}
    clean = host.event(Module(name="ext4", **said))
    assert "taint_flags" not in clean["process"]["Ext"]["load_module"]
    bpf = host.event(BpfLoad(name="x", program_type=2, **said))
    assert bpf["event"]["type"] == ["info"]


HOSTILE = st.text(max_size=40) | st.sampled_from(
    ['","event":{"action":"x"}', "\x1b[2J", "\\", "\x00", "é\U0001f600", "%s %b"]
)


@given(st.lists(HOSTILE, min_size=1, max_size=5), HOSTILE, HOSTILE)
def test_hostile_strings_stay_values(args: list[str], path: str, comm: str) -> None:
    host = Host()
    first, second, third = host.events(
        execute(10, 50, path, *args, comm=comm, environment={"A": path}),
        fork(11, 51, 10, 50, comm=comm),
        FilePath(time_ns=2, pid=11, start_ns=start_of(51), operation="rename", path=path, source=comm),
    )
    assert first["process"]["args"] == args
    assert first["event"]["action"] == "exec"
    assert first["process"].get("executable", "") == path
    assert second["process"]["parent"]["args"] == args
    assert third["file"]["path"] == path


def test_a_rule_of_the_package_fires_on_what_the_sensor_writes(host: Host) -> None:
    ruleset = load_rules()
    rule = next(rule for rule in ruleset.runnable if rule.name == "Shell Reads Its Commands from a Network Socket")
    lines = host.encoder.encode(
        [fork(20, 60, 10, 50), execute(20, 60, "/usr/bin/bash", "bash", "-i", descriptors=(SOCKET, SOCKET, SOCKET))]
    )
    detector = ReferenceDetector([rule])
    matches = detector.feed(Chunk(b"\n".join(lines))) + detector.finish()
    assert len(matches) == 1


@pytest.mark.skipif("MAXSPAN_SHARED" not in os.environ, reason="MAXSPAN_SHARED is not set")
def test_the_traces_beside_the_project_have_the_same_keys_too(host: Host) -> None:
    events = {event["event"]["action"]: flat(event) for event in story(host)}
    for path in sorted(Path(os.environ["MAXSPAN_SHARED"]).glob("traces/*/*.ndjson")):
        for line in path.read_text().splitlines():
            recorded = json.loads(line)
            missing = set(flat(recorded)) - set(events[recorded["event"]["action"]])
            assert not missing, path.name
