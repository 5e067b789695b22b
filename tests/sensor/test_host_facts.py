"""Facts of the host, names of accounts, and /proc; from files that may be missing, broken or hostile."""

from __future__ import annotations

import json
import os
from pathlib import Path

from maxspan.sensor import procfs
from maxspan.sensor.accounts import Accounts
from maxspan.sensor.documents.capabilities import capability_names, taint_letters
from maxspan.sensor.documents.timestamps import Timestamps
from maxspan.sensor.entity import EntityIds
from maxspan.sensor.machine import read_machine
from maxspan.sensor.records import Ids


def made(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_host_is_read_from_its_files(tmp_path: Path) -> None:
    root = made(
        tmp_path,
        etc__machine_id="0123456789abcdef0123456789abcdef\n",
        etc__os_release='NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\nPRETTY_NAME="Debian 12"\nbroken\n',
    )
    (root / "proc/net").mkdir(parents=True)
    (root / "proc/net/fib_trie").write_text(
        "  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 10.0.0.255\n     /32 link BROADCAST\n"
        "  |-- 10.0.0.5\n     /32 host LOCAL\n  |-- 10.0.0.5\n     /32 host LOCAL\n"
    )
    (root / "proc/net/if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80 lo\nfe800000000000000000000000000001 02 40 20 80 eth0\n"
        "20010db8000000000000000000000001 02 40 00 80 eth0\n"
    )
    machine = read_machine(root)
    assert machine.machine_id == "0123456789abcdef0123456789abcdef"
    assert machine.addresses == ("10.0.0.5", "2001:db8::1")
    suffix = json.loads(b'{"x":0' + machine.suffix("endpoint.events.process") + b"}")
    assert suffix["host"]["os"]["full"] == "Debian 12"
    assert suffix["host"]["os"]["type"] == "linux"
    assert suffix["data_stream"]["dataset"] == "endpoint.events.process"
    assert machine.machine_id not in suffix["agent"]["id"].replace("-", "")


def test_a_host_without_any_of_them_still_has_an_id(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert len(machine.machine_id) == 32
    assert machine.os["type"] == "linux"


def test_this_host_can_be_read() -> None:
    machine = read_machine()
    assert machine.hostname == os.uname().nodename
    assert len(machine.boot_id) == 36


def test_accounts_are_read_again_when_the_files_change(tmp_path: Path) -> None:
    passwd, group = tmp_path / "passwd", tmp_path / "group"
    passwd.write_text('root:x:0:0::/:/bin/sh\n+::::::\nbad\neve"\\:x:7:7::/:/bin/sh\nsecond:x:0:0::/:/bin/sh\n')
    accounts = Accounts(passwd, group)
    part = json.loads(b"{" + accounts.process_part(Ids(uid=7, euid=0, egid=5)) + b"}")
    assert part["user"] == {"id": "0", "name": "root"}
    assert part["real_user"] == {"id": "7", "name": 'eve"\\'}
    assert part["group"] == {"id": "5"}
    group.write_text("games:x:5:\n")
    os.utime(group, ns=(1, 1))
    accounts.renew()
    top = json.loads(b'{"x":0' + accounts.top_part(Ids(uid=7, euid=0, egid=5)) + b"}")
    assert top["group"]["name"] == "games"
    assert top["user"]["Ext"]["real"]["id"] == "7"


def test_this_process_is_read_from_proc() -> None:
    running = procfs.read_process(os.getpid())
    assert running is not None
    assert running.executable == str(Path("/proc/self/exe").readlink())
    assert running.directory == str(Path.cwd())
    assert running.parent_pid == os.getppid()
    assert (running.ids.uid, running.ids.euid) == (os.getuid(), os.geteuid())
    assert running.ids.session == os.getsid(0)
    assert running.ids.group == os.getpgrp()
    assert running.args[0]
    assert not running.kernel
    assert running.image.size == Path("/proc/self/exe").stat().st_size
    found = list(procfs.read_all())
    assert os.getpid() in {one.pid for one in found}
    assert [one.ticks for one in found] == sorted(one.ticks for one in found)


def test_names_of_programs_may_hold_anything(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    folder.mkdir()
    fields = ["S", "1", "7", "7", str(136 << 8 | 2), "0", "4194560", *["0"] * 12, "4321", "0"]
    (folder / "stat").write_text(f"7 (a) b) 9 (c) {' '.join(fields)}\n")
    (folder / "cmdline").write_bytes(b"a\0\0b c\0\xff\0")
    (folder / "status").write_text("Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t7\t1\nCapPrm:\t0000000000000003\n")
    running = procfs.read_process(7, tmp_path)
    assert running is not None
    assert running.comm == "a) b) 9 (c"
    assert (running.ticks, running.ids.tty, running.ids.pid_level) == (4321, 136 << 20 | 2, 1)
    assert (running.ids.uid, running.ids.euid, running.ids.gid, running.ids.egid) == (1, 2, 5, 6)
    assert running.args == ["a", "", "b c", "\\xff"]
    assert running.argc == 4
    assert running.ids.capabilities_permitted == 3


def test_a_process_that_became_another_one_while_it_was_read_is_not_believed(tmp_path: Path) -> None:
    assert procfs.read_process(7, tmp_path) is None
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "stat").write_text("7 (x")
    assert procfs.read_process(7, tmp_path) is None


def test_an_entity_id_is_the_same_for_the_same_process_only() -> None:
    ids = EntityIds("machine", "boot")
    assert ids.of(1, 2) == EntityIds("machine", "boot").of(1, 2)
    others = {ids.of(1, 2), ids.of(12, 2), ids.of(1, 22), ids.of(2, 1), EntityIds("machine", "later").of(1, 2)}
    assert len(others) == 5
    assert all(len(one) == 16 for one in others)


def test_times_are_written_to_the_microsecond() -> None:
    times = Timestamps()
    assert times.iso(1_700_000_000_000_001_999) == b"2023-11-14T22:13:20.000001Z"
    assert times.iso(1_700_000_000_999_999_999) == b"2023-11-14T22:13:20.999999Z"
    assert times.iso(0) == b"1970-01-01T00:00:00.000000Z"


def test_names_of_capabilities_and_taints() -> None:
    assert json.loads(capability_names(0)) == []
    assert json.loads(capability_names(1 << 39 | 1 << 38 | 1 << 60)) == ["CAP_PERFMON", "CAP_BPF", "CAP_60"]
    assert taint_letters(1 | 1 << 12 | 1 << 13) == "POE"
