"""Processes begin, become other programs, end: on this kernel."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sensor.bpf_watch import PYTHON, Watch, python, run, start_ticks

from maxspan.sensor.records import (
    Exec,
    Exit,
    FileOpen,
    Fork,
    IdsChange,
)

pytestmark = pytest.mark.root


def test_fork_exec_exit_of_a_program(watching: Callable[..., Watch], tmp_path: Path) -> None:
    watch = watching(environment=["MAXSPAN_A", "MAXSPAN_NOT_THERE"])
    before = time.time_ns()
    with (
        (tmp_path / "err").open("w") as errors,
        subprocess.Popen(
            ["sh", "-c", "read x; exit 7", "", "é\n", "\udcff"],
            cwd=tmp_path,
            env={"MAXSPAN_A": "1=2", "SECRET": "no"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process,
    ):
        ticks = start_ticks(process.pid)
        process.communicate(b"\n")
    pid = process.pid
    ended = watch.one(Exit, pid)
    fork, exec_ = watch.one(Fork, pid), watch.one(Exec, pid)
    assert fork.parent_pid == os.getpid() and exec_.parent_pid == os.getpid()
    assert fork.parent_start_ns // 10_000_000 == start_ticks(os.getpid())
    assert {fork.start_ns, exec_.start_ns, ended.start_ns} == {fork.start_ns}
    assert fork.start_ns // 10_000_000 == ticks
    assert exec_.executable == os.path.realpath(shutil.which("sh") or "/bin/sh")
    assert exec_.directory == str(tmp_path)
    assert exec_.args == ["sh", "-c", "read x; exit 7", "", "é\n", "\\xff"] and exec_.argc == 6
    assert not exec_.clipped and not exec_.deleted
    assert exec_.environment == {"MAXSPAN_A": "1=2"}
    assert [one.type for one in exec_.descriptors] == ["pipe", "null", "file"]
    assert exec_.ids.uid == 0 and exec_.ids.session == os.getsid(0) and exec_.ids.group == os.getpgid(0)
    assert exec_.ids.capabilities_effective == int(
        Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0], 16
    )
    info = Path(exec_.executable).stat()
    assert (exec_.image.inode, exec_.image.size, exec_.image.mode) == (info.st_ino, info.st_size, info.st_mode)
    assert exec_.image.modified_ns == info.st_mtime_ns and exec_.image.changed_ns == info.st_ctime_ns
    assert (ended.exit_code, ended.signal) == (7, 0)
    assert before - 10**7 <= fork.time_ns <= exec_.time_ns <= ended.time_ns <= time.time_ns() + 10**7
    assert not fork.own
    # Order of the ring: the way of a process.
    assert [type(one) for one in watch.records if one.pid == pid and one.kind != "cgroup"] == [Fork, Exec, Exit]


def test_long_arguments_are_cut_and_marked(watching: Callable[..., Watch]) -> None:
    watch = watching()
    args = ["true", "x" * 9000, "y" * 9000, *["z"] * 3000]
    exec_ = watch.one(Exec, run(*args))
    assert exec_.args_clipped and exec_.argc == len(args)
    assert exec_.args[1] == args[1] and args[2].startswith(exec_.args[2]) and len(exec_.args) == 3
    assert watch.backend.counters()["exec"].clipped >= 1
    just = watch.one(Exec, run("true", "x" * (16383 - 6)))
    assert not just.args_clipped and len(just.args[1]) == 16377


def test_killed_by_a_signal(watching: Callable[..., Watch]) -> None:
    watch = watching()
    process = subprocess.Popen(["sleep", "60"])
    watch.one(Exec, process.pid)
    process.kill()
    process.wait()
    assert (watch.one(Exit, process.pid).signal, watch.of(Exit, process.pid)[0].exit_code) == (signal.SIGKILL, 0)


def test_script_gives_the_interpreter_and_its_arguments(watching: Callable[..., Watch], tmp_path: Path) -> None:
    watch = watching()
    script = tmp_path / "run me"
    script.write_text("#!/bin/sh -e\nexit 0\n")
    script.chmod(0o755)
    exec_ = watch.one(Exec, run(str(script), "one"))
    assert exec_.executable == os.path.realpath("/bin/sh")
    assert exec_.args == ["/bin/sh", "-e", str(script), "one"]


def test_program_in_memory_and_deleted_program(watching: Callable[..., Watch], tmp_path: Path) -> None:
    watch = watching()
    program = Path(shutil.which("true") or "/bin/true").read_bytes()
    memory = os.memfd_create("hidden", 0)
    os.write(memory, program)
    exec_ = watch.one(Exec, run("true", executable=f"/proc/self/fd/{memory}", pass_fds=[memory]))
    os.close(memory)
    assert exec_.executable == "/memfd:hidden" and exec_.deleted

    copy = tmp_path / "copy"
    copy.write_bytes(program)
    copy.chmod(0o755)
    opened = os.open(copy, os.O_PATH)
    copy.unlink()
    exec_ = watch.one(Exec, run("copy", executable=f"/proc/self/fd/{opened}", pass_fds=[opened]))
    os.close(opened)
    assert exec_.executable == str(copy) and exec_.deleted


def test_path_through_mounts_and_chroot(watching: Callable[..., Watch], tmp_path: Path) -> None:
    watch = watching()
    tool = f"{tmp_path}/a/b/tool"
    code = f"mount -t tmpfs x {tmp_path} && mkdir -p {tmp_path}/a/b && cp /bin/true {tool} && exec {tool}"
    process = subprocess.Popen(["unshare", "-m", "sh", "-c", code], cwd=tmp_path)
    assert process.wait() == 0
    watch.one(Exit, process.pid)
    assert watch.of(Exec, process.pid)[-1].executable == tool


def test_threads_do_not_count_and_a_process_ends_once(watching: Callable[..., Watch]) -> None:
    watch = watching()
    code = "import threading, time\nfor _ in range(8): threading.Thread(target=time.sleep, args=(0.05,)).start()"
    process = python(code)
    watch.one(Exit, process.pid)
    watch.records += watch.backend.poll(200)
    assert len(watch.of(Fork, process.pid)) == len(watch.of(Exit, process.pid)) == 1


def test_execution_from_a_thread_keeps_the_process(watching: Callable[..., Watch]) -> None:
    watch = watching()
    code = "import os, threading\nthreading.Thread(target=os.execv, args=('/bin/true', ['true', 'x'])).start()"
    process = python(code)
    watch.one(Exit, process.pid)
    first, last = watch.of(Exec, process.pid)
    assert last.args == ["true", "x"] and first.start_ns == last.start_ns and last.tid == process.pid
    assert len(watch.of(Exit, process.pid)) == 1


def test_socket_as_standard_input(watching: Callable[..., Watch]) -> None:
    watch = watching()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            exec_ = watch.one(Exec, run("true", stdin=client, stdout=accepted))
            flow = exec_.descriptors[0].flow
            assert flow
            assert (flow.local, flow.local_port) == client.getsockname()
            assert (flow.remote, flow.remote_port) == server.getsockname()
            assert exec_.descriptors[1].flow and exec_.descriptors[1].flow.remote_port == flow.local_port


def test_terminal_socket_pair_and_closed_descriptor(watching: Callable[..., Watch]) -> None:
    watch = watching()
    leader, terminal = os.openpty()
    one, other = socket.socketpair()
    code = "import os, fcntl, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.close(2); "
    code += "os.execv('/bin/true', ['true'])"
    with one, other, subprocess.Popen([PYTHON, "-ISc", code], stdin=terminal, stdout=one) as process:
        process.wait()
    watch.one(Exit, process.pid)
    last = watch.of(Exec, process.pid)[-1]
    device = os.fstat(terminal).st_rdev
    number = os.major(device) << 20 | os.minor(device)
    assert [one.type for one in last.descriptors] == ["tty", "socket", "closed"]
    assert last.descriptors[0].device == last.ids.tty == number
    flow = last.descriptors[1].flow
    assert flow and (flow.family, flow.local, flow.remote) == (socket.AF_UNIX, "", "")
    os.close(leader)
    os.close(terminal)


def test_change_of_ids_and_session(watching: Callable[..., Watch]) -> None:
    watch = watching()
    process = python("import os; os.setsid(); os.setgid(65534); os.setuid(65534)")
    watch.one(Exit, process.pid)
    changes = {one.change: one.ids for one in watch.of(IdsChange, process.pid)}
    assert changes["session"].session == process.pid and changes["session"].uid == 0
    assert changes["gid"].gid == 65534 and changes["gid"].uid == 0
    assert changes["uid"].uid == changes["uid"].euid == 65534 and changes["uid"].capabilities_effective == 0


def test_the_sensor_marks_itself(watching: Callable[..., Watch], tmp_path: Path) -> None:
    watch = watching(watched=[str(tmp_path)])
    (tmp_path / "mine").touch()
    assert watch.one(FileOpen, os.getpid()).own
