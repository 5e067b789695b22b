"""Nothing is lost unless it is counted; starting, stopping, and rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sensor.bpf_watch import Watch, run

from maxspan.sensor.processes import key_of
from maxspan.sensor.records import (
    Exec,
    Exit,
    Fork,
)

pytestmark = pytest.mark.root


def spawn(count: int) -> None:
    for _ in range(count):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def balanced(watch: Watch) -> bool:
    return all(one.seen == one.sent + one.lost for one in watch.backend.counters().values())


def received(watch: Watch) -> dict[str, int]:
    out = dict.fromkeys(watch.backend.counters(), 0)
    for one in watch.records:
        out[one.kind] += 1
    return out


def test_burst_of_5000_processes_is_seen_whole(watching: Callable[..., Watch]) -> None:
    watch = watching()
    worker = threading.Thread(target=spawn, args=(5000,))
    worker.start()
    while worker.is_alive():
        watch.records += watch.backend.poll(50)
    worker.join()
    while more := watch.backend.poll(100):
        watch.records += more
    counters = watch.backend.counters()
    assert balanced(watch) and sum(one.lost for one in counters.values()) == 0
    mine = {one.pid for one in watch.of(Fork) if one.parent_pid == os.getpid()}
    assert len(mine) == 5000
    assert {one.pid for one in watch.of(Exec)} >= mine and {one.pid for one in watch.of(Exit)} >= mine
    sent, got = watch.backend.counters(), received(watch)
    for kind in ("fork", "exec"):
        # Others on this machine may go on meanwhile, so not more than the kernel sent and all of the burst.
        assert 5000 <= got[kind] <= sent[kind].sent


def test_stopped_reader_loses_and_counts_and_goes_on(watching: Callable[..., Watch]) -> None:
    watch = watching(ring_bytes=1 << 18)
    spawn(600)
    counters = watch.backend.counters()
    assert counters["exec"].lost > 0 and balanced(watch)
    assert counters["fork"].seen >= 600 and counters["exec"].seen >= 600
    while more := watch.backend.poll(0):
        watch.records += more
    assert balanced(watch)
    before = watch.backend.counters()
    got = received(watch)
    for kind in ("fork", "exec"):
        assert got[kind] <= before[kind].sent
    # The reader goes on: nothing is lost from here.
    watch.one(Exec, run("true"))
    after = watch.backend.counters()
    assert after["exec"].lost == before["exec"].lost and after["exec"].sent > before["exec"].sent
    assert balanced(watch)


def test_what_was_sent_is_what_was_read(watching: Callable[..., Watch]) -> None:
    watch = watching(ring_bytes=1 << 18)
    spawn(300)
    for _ in range(50):
        while more := watch.backend.poll(0):
            watch.records += more
        if watch.backend.pending_bytes == 0:
            counters = watch.backend.counters()
            if watch.backend.pending_bytes == 0:
                break
    assert {kind: one.sent for kind, one in counters.items()} == received(watch)


def test_polling_waits_and_returns_nothing(watching: Callable[..., Watch]) -> None:
    watch = watching()
    watch.backend.poll(0)
    begin = time.monotonic()
    watch.backend.poll(0)
    assert time.monotonic() - begin < 0.05


def seconds_of_a_poll(watch: Watch, start: Callable[[], object], timeout_s: float) -> float:
    """How long a reader whose next look is far away waits while something happens."""
    while more := watch.backend.poll(0):
        watch.records += more
    watch.backend._pace = 2 * timeout_s
    worker = threading.Timer(0.2, start)
    worker.start()
    begin = time.monotonic()
    watch.records += watch.backend.poll(int(1000 * timeout_s))
    took = time.monotonic() - begin
    worker.join()
    return took


def test_a_new_program_ends_the_wait_and_a_known_one_does_not(watching: Callable[..., Watch], tmp_path: Path) -> None:
    program = tmp_path / "never-seen"
    shutil.copy("/bin/true", program)
    watch = watching(hurry=True)
    assert seconds_of_a_poll(watch, lambda: run(str(program)), 6) < 3
    # What else this machine runs must not be new either.
    for _ in range(20):
        for image in {one.image for one in watch.of(Exec)}:
            watch.backend.know(key_of(image))
        if seconds_of_a_poll(watch, lambda: run(str(program)), 1.5) > 1.4:
            break
    else:
        pytest.fail("a known program ends the wait")
    assert [one.executable for one in watch.of(Exec)].count(str(program)) > 1


def test_a_ring_that_fills_up_ends_the_wait(watching: Callable[..., Watch]) -> None:
    watch = watching(ring_bytes=1 << 18)
    assert seconds_of_a_poll(watch, lambda: spawn(60), 6) < 3


def test_the_first_record_after_a_while_ends_the_wait(watching: Callable[..., Watch]) -> None:
    watch = watching()
    end = time.monotonic() + 20
    while watch.backend.poll(1500):
        assert time.monotonic() < end, "this machine is never quiet"
    worker = threading.Timer(0.3, spawn, (1,))
    worker.start()
    begin = time.monotonic()
    assert watch.backend.poll(10_000)
    assert time.monotonic() - begin < 5
    worker.join()


def test_two_backends_at_once_see_the_same(watching: Callable[..., Watch]) -> None:
    first, second = watching(), watching()
    pid = run("true", "both")
    assert first.one(Exec, pid).args == second.one(Exec, pid).args == ["true", "both"]
    assert first.one(Exec, pid).start_ns == second.one(Exec, pid).start_ns


def test_closing_frees_everything(watching: Callable[..., Watch]) -> None:
    watching().backend.close()
    fds = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        watch = watching()
        watch.backend.close()
        watch.backend.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == fds


DROPPED = """
import subprocess
from maxspan.errors import SensorError
from maxspan.sensor.bpf_backend import BpfBackend
backend = BpfBackend(watched=["/etc/cron.d"])
try:
    backend.start()
except SensorError as error:
    print(error)
else:
    process = subprocess.Popen(["true"])
    process.wait()
    got = []
    while batch := backend.poll(1000):
        got += [one for one in batch if one.pid == process.pid]
        if any(one.kind == "exit" for one in got):
            break
    print("seen" if any(one.kind == "exec" for one in got) else "not seen")
"""


def dropped(capabilities: str) -> str:
    """Start the backend as nobody with some capabilities, with tracefs mounted for this test only."""
    names = ",".join(f"+{name}" for name in capabilities.split())
    options = [f"--{kind}=-all,{names}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *options, sys.executable, "-c", DROPPED]
    mounted = ["unshare", "-m", "sh", "-c", 'mount -t tracefs t /sys/kernel/tracing && exec "$@"', "-", *command]
    return subprocess.run(mounted, capture_output=True, text=True, timeout=60).stdout.strip()


def test_three_capabilities_instead_of_root(watching: Callable[..., Watch]) -> None:
    watching()  # skips where BPF cannot be loaded at all
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    assert dropped("bpf perfmon dac_read_search") == "seen"
    assert "needs CAP_BPF" in dropped("perfmon dac_read_search")


def test_containers_are_named_by_their_control_group(watching: Callable[..., Watch]) -> None:
    pids = Path("/sys/fs/cgroup/pids")
    root = pids if pids.is_dir() else Path("/sys/fs/cgroup")
    name = "docker-" + "ab" * 32 + ".scope"
    folder = root / "maxspan-test" / name
    watch = watching()
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        pid = run("sh", "-c", f"echo $$ > {folder}/cgroup.procs && exec true")
        watch.one(Exit, pid)
        last = watch.of(Exec, pid)[-1]
        paths = {one.cgroup: one.path for one in watch.records if one.kind == "cgroup"}  # type: ignore[attr-defined]
        assert paths[last.cgroup] == f"/maxspan-test/{name}"
    finally:
        folder.rmdir()
        folder.parent.rmdir()
