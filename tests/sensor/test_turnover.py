"""Millions of processes come and go through the user-side code, and memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sensor.host import Host, execute, fork, leave, running, start_of

from maxspan.sensor.records import Accept, Close, Connect, Flow, Fork, Ids, Image, Record

BATCH = 1000
PIDS = 32_768


def lives(count: int) -> Iterator[Record]:
    """Processes as a busy host has them: most are short, some chains of shells, some connect, some ends are lost."""
    image = Image(7, 1, 9, 0o100755, 1, 1)
    parent, parent_ticks = 10, 5
    for number in range(count):
        pid, ticks = 100 + number % PIDS, 1000 + number
        ids = Ids(session=10 if number % 3 else pid, group=pid, tty=136 << 20)
        yield fork(pid, ticks, parent, parent_ticks, ids=ids, cgroup=number % 50)
        yield execute(pid, ticks, "/usr/bin/true", "true", str(number), ids=ids, image=image)
        if number % 10 == 0:
            flow = Flow(2, 1, 6, 1, "192.0.2.2", number % 65_536, "192.0.2.1", 80)
            said = {"pid": pid, "start_ns": start_of(ticks), "flow": flow, "socket": number + 1}
            yield Connect(time_ns=number, **said) if number % 20 else Accept(time_ns=number, role="server", **said)
            if number % 40:  # the others never close
                yield Close(time_ns=number, **said)
        if number % 7:
            yield leave(pid, ticks, ids=ids)
            parent, parent_ticks = 10, 5
        else:  # its end is lost, and it is the parent of the next one
            parent, parent_ticks = pid, ticks


def resident_kib() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1])


def live_through(count: int, sample: int) -> tuple[Host, list[int], int]:
    """Give the host, the memory of this process after every `sample` processes, and the number of events."""
    host = Host(connections=500)
    host.running[10] = running(10, 5, 0, "/usr/bin/bash")
    host.table.snapshot(host.running.values())
    sizes: list[int] = []
    batch: list[Record] = []
    events = processes = 0
    for record in lives(count):
        batch.append(record)
        if len(batch) == BATCH:
            events += len(host.encoder.encode(batch))
            batch.clear()
        if type(record) is Fork:
            processes += 1
            if processes % sample == 0:
                host.table.sweep()
                sizes.append(resident_kib())
    events += len(host.encoder.encode(batch))
    return host, sizes, events


def check(host: Host, count: int, events: int) -> None:
    table = host.table
    assert table.counters.forked == count
    assert len(table.ended) <= 4096
    assert table.counters.ended + table.counters.missed_ends + len(table.live) >= count
    assert events == sum(counter.events for counter in host.encoder.counters.values())
    assert 0 <= host.encoder.forgotten_connections - (count // 40 - 500) <= 1
    assert host.encoder.counters["fork"].received == host.encoder.counters["exec"].received == count


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_memory_is_flat_over_two_hundred_thousand_processes() -> None:
    host, sizes, events = live_through(200_000, 20_000)
    check(host, 200_000, events)
    assert max(sizes[4:]) < sizes[3] + 6_000, sizes


@pytest.mark.slow
def test_memory_is_flat_over_ten_million_processes() -> None:
    host, sizes, events = live_through(10_000_000, 500_000)
    check(host, 10_000_000, events)
    assert max(sizes) < sizes[0] + 10_000, sizes
