"""Entry leaders and containers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sensor.host import Host, execute, fork, running

from maxspan.sensor.lineage import container_part
from maxspan.sensor.records import Cgroup, Ids

SSH = "/usr/sbin/sshd"


def host_with(*more: Any) -> Host:
    host = Host()
    host.table.snapshot([running(1, 1, 0, "/usr/lib/systemd/systemd", Ids(session=1, group=1)), *more])
    return host


def entry_of(event: dict[str, Any]) -> tuple[int, str]:
    leader = event["process"]["entry_leader"]
    return leader["pid"], leader["entry_meta"]["type"]


def test_init_is_its_own_entry() -> None:
    assert entry_of(host_with().event(execute(1, 1, "/sbin/init", "init"))) == (1, "init")


@pytest.mark.parametrize(
    ("parent", "tty", "way"),
    [
        (SSH, 136 << 20, "sshd"),
        ("/usr/lib/openssh/sshd-session", 0, "sshd"),
        ("/usr/bin/login", 4 << 20 | 1, "terminal"),
        ("/usr/bin/login", 4 << 20 | 64, "console"),
        ("/usr/bin/login", 5 << 20 | 1, "console"),
        ("/usr/bin/amazon-ssm-agent", 0, "ssm"),
        ("/usr/bin/kubelet", 0, "kubelet"),
    ],
)
def test_a_session_begun_by_a_way_in_is_an_entry(parent: str, tty: int, way: str) -> None:
    host = host_with(running(5, 5, 1, parent, Ids(session=5, group=5)))
    ids = Ids(session=20, group=20, tty=tty)
    host.events(fork(20, 60, 5, 5, ids=ids))
    assert entry_of(host.event(execute(20, 60, "/usr/bin/bash", "-bash", ids=ids))) == (20, way)
    child = Ids(session=20, group=21, tty=tty)
    assert entry_of(host.event(fork(21, 61, 20, 60, ids=child))) == (20, way)


def test_a_service_enters_through_init_and_its_children_with_it() -> None:
    host = host_with()
    ids = Ids(session=20, group=20)
    host.events(fork(20, 60, 1, 1, ids=ids))
    assert entry_of(host.event(execute(20, 60, SSH, "sshd", ids=ids))) == (20, "init")
    assert entry_of(host.event(fork(21, 61, 20, 60, ids=ids))) == (20, "init")


def test_a_new_session_without_a_way_in_keeps_the_entry_of_its_parent() -> None:
    host = host_with(running(5, 5, 1, "/usr/sbin/cron", Ids(session=5, group=5)))
    ids = Ids(session=20, group=20)
    assert entry_of(host.events(fork(20, 60, 5, 5, ids=ids), execute(20, 60, "/bin/sh", "sh", ids=ids))[1]) == (
        5,
        "init",
    )


def test_a_container_is_an_entry() -> None:
    runtime = running(5, 5, 1, "/usr/bin/containerd-shim-runc-v2", Ids(session=5, group=5))
    host = host_with(runtime)
    group = "b" * 64
    ids = Ids(session=20, group=20, pid_level=1)
    host.events(Cgroup(time_ns=1, pid=20, cgroup=44, path=f"/kubepods.slice/cri-containerd-{group}.scope"))
    host.events(fork(20, 60, 5, 5, ids=ids, cgroup=44))
    event = host.event(execute(20, 60, "/bin/sh", "sh", ids=ids, cgroup=44))
    assert entry_of(event) == (20, "container")
    assert event["container"]["id"] == group
    child = host.event(fork(21, 61, 20, 60, ids=ids, cgroup=44))
    assert child["container"]["id"] == group


def test_kernel_threads_have_no_entry() -> None:
    host = host_with(running(2, 1, 0, "", Ids(), comm="kthreadd", kernel=True))
    event = host.event(execute(2, 1, "", comm="kthreadd"))
    assert "entry_leader" not in event["process"]


def test_the_root_group_says_nothing_where_containers_are_in_groups_of_version_1() -> None:
    group = "c" * 64
    host = host_with(running(20, 60, 1, "/bin/sh", cgroup_path=f"/docker/{group}"))
    host.events(Cgroup(time_ns=1, pid=20, cgroup=1, path="/"))
    assert host.event(fork(21, 61, 20, 60, cgroup=1))["container"]["id"] == group


def test_a_path_without_an_id_is_no_container() -> None:
    assert container_part("/user.slice/user-0.slice/session-1.scope") == b""
    assert container_part("/x/" + "0" * 63) == b""
