"""Serials of audit that never come are events that were lost; late ones and other orders are not."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.errors import SensorError
from maxspan.sensor.audit import AuditBackend
from maxspan.sensor.audit.message import EOE, SYSCALL
from maxspan.sensor.audit.netlink import LOCKED
from maxspan.sensor.audit.serials import PATIENCE_S, Serials
from maxspan.sensor.records import Exec, Record


def lost(serials: Iterable[int]) -> int:
    counted = Serials()
    for serial in serials:
        counted.take(serial, 0.0)
    counted.settle(PATIENCE_S)
    return counted.lost


def test_a_serial_that_never_comes_is_lost_and_one_that_comes_late_is_not() -> None:
    assert lost([7, 7, 8, 9]) == 0
    assert lost([7, 9, 12]) == 3
    assert lost([7, 12, 10, 8, 9, 11]) == 0
    assert lost([7, 12, 10]) == 3


def test_it_is_waited_for() -> None:
    counted = Serials()
    counted.take(1, 10.0)
    counted.take(4, 10.0)
    counted.settle(10.0 + PATIENCE_S / 2)
    assert counted.lost == 0
    counted.settle(10.0 + PATIENCE_S)
    assert counted.lost == 2
    counted.take(3, 12.0)
    counted.take(3, 12.0)
    assert (counted.lost, counted.late) == (2, 1)


@given(st.lists(st.booleans(), max_size=40), st.randoms(use_true_random=False), st.integers(0, (1 << 32) - 1))
def test_all_that_is_missing_is_counted_in_any_order(came: list[bool], order: Random, first: int) -> None:
    steps = [0, *(step for step, there in enumerate(came, 1) if there)]
    shuffled = steps[1:]
    order.shuffle(shuffled)
    # the counter of the kernel begins anew after 32 bits
    expected = steps[-1] + 1 - len(steps)
    assert lost((first + step) % (1 << 32) for step in [0, *shuffled]) == expected


def message(kind: int, serial: int, time_s: int) -> tuple[int, bytes]:
    return kind, b"audit(%d.000:%d): syscall=1\n" % (time_s, serial)


def test_the_backend_counts_gaps_of_all_types_from_its_start_on() -> None:
    backend = AuditBackend()
    backend._started_ns = 1_000_000_000_000
    old = message(SYSCALL, 3, 900)  # kept by the kernel for a daemon that was not there
    login = message(1112, 102, 1001)  # of no interest, but its number came
    backend._events([old, message(SYSCALL, 100, 1000), message(EOE, 100, 1000), (1112, b"no stamp"), login])
    backend._events([message(SYSCALL, 105, 1001)])
    time.sleep(PATIENCE_S)
    backend._events([])
    counters = backend.counters()["audit_gaps"]
    assert (counters.seen, counters.lost) == (3, 3)


@pytest.mark.root
def test_on_this_host_nothing_is_missing_unless_it_is_taken_away() -> None:
    backend = AuditBackend()
    try:
        backend.start()
    except SensorError as error:
        backend.close()
        pytest.skip(f"this host does not allow auditing: {error}")
    try:
        assert backend._before is not None and backend._before.enabled != LOCKED
        records = ran(backend, 200)
        seen = sum(isinstance(record, Exec) and record.parent_pid == os.getpid() for record in records)
        counters = backend.counters()
        assert seen == 200 or counters["audit"].lost + counters["audit_gaps"].lost
        before = counters["audit_gaps"].lost
        assert backend._socket is not None
        for _ in range(20):  # somebody takes messages away before they are read
            subprocess.run(["/bin/true"], check=True)
        time.sleep(0.2)
        assert backend._socket.messages(1 << 20)
        ran(backend, 1)
        time.sleep(PATIENCE_S)
        ran(backend, 1)
        assert backend.counters()["audit_gaps"].lost >= before + 20
    finally:
        backend.close()


def ran(backend: AuditBackend, count: int) -> list[Record]:
    out: list[Record] = []
    for _ in range(count):
        subprocess.run(["/bin/true"], check=True)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        out += backend.poll(50)
    return out
