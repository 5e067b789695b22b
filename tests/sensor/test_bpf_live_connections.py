"""Connections of every kind, on loopback and in namespaces of their own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable

import pytest
from tests.sensor.bpf_watch import PYTHON, Watch, python

from maxspan.sensor.records import (
    Accept,
    Close,
    Connect,
    Connected,
    Datagram,
    Exit,
)

pytestmark = pytest.mark.root

TALK = """
import socket, sys, threading
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], 0), family=family, dualstack_ipv6=sys.argv[1] == "::")
port = server.getsockname()[1]
got = []
def call():
    print(threading.get_native_id(), port, flush=True)
    client = socket.create_connection((sys.argv[2], port))
    client.sendall(b"x" * 1000)
    assert client.recv(10) == b"yyy"
    client.close()
caller = threading.Thread(target=call); caller.start()
peer, _ = server.accept()
while len(b"".join(got)) < 1000: got.append(peer.recv(1000))
peer.sendall(b"yyy"); peer.recv(1); peer.close(); caller.join()
"""


@pytest.mark.parametrize(
    ("bind", "to", "seen"), [("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("::1", "::1", "::1"), ("::", "127.0.0.1", None)]
)
def test_tcp_from_both_sides(watching: Callable[..., Watch], bind: str, to: str, seen: str | None) -> None:
    watch = watching()
    process = python(TALK, bind, to)
    thread, port = map(int, process.output.split())
    watch.until(lambda: len(watch.of(Close, process.pid)) == 2)
    connect, connected, accept = (watch.one(cls, process.pid) for cls in (Connect, Connected, Accept))
    seen = seen or "127.0.0.1"
    assert (connect.flow.remote, connect.flow.remote_port, connect.tid) == (seen, port, thread)
    assert thread != process.pid and connect.comm.startswith("python")
    assert connected.socket == connect.socket and connected.flow.local_port > 0 and connected.flow.local == seen
    assert (accept.flow.local, accept.flow.local_port) == (seen, port)
    assert (accept.flow.remote, accept.flow.remote_port) == (seen, connected.flow.local_port)
    assert accept.flow.family == (10 if seen == "::1" else 2)
    closed = {one.role: one for one in watch.of(Close, process.pid)}
    client, server = closed["client"], closed["server"]
    assert (client.bytes_sent, client.bytes_received, client.established) == (1000, 3, True)
    assert (server.bytes_sent, server.bytes_received, server.established) == (3, 1000, True)
    assert client.flow.local_port == connected.flow.local_port and server.socket == accept.socket
    assert client.ids.uid == 0 and client.start_ns == connect.start_ns


def test_refused_and_non_blocking_connections(watching: Callable[..., Watch]) -> None:
    watch = watching()
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = """
import errno, select, socket, sys
a = socket.socket(); a.setblocking(False)
assert a.connect_ex(("127.0.0.1", int(sys.argv[1]))) in (0, errno.EINPROGRESS)
select.select([], [a], [], 5)
b = socket.socket()
assert b.connect_ex(("127.0.0.1", 1)) == errno.ECONNREFUSED
"""
        process = python(code, str(server.getsockname()[1]))
        watch.until(lambda: len(watch.of(Connect, process.pid)) == 2 and len(watch.of(Close, process.pid)) >= 1)
        good, bad = watch.of(Connect, process.pid)
        assert good.flow.remote_port == server.getsockname()[1]
        refused = next(one for one in watch.of(Close, process.pid) if one.socket == bad.socket)
        assert not refused.established and refused.flow.remote_port == 1 and refused.flow.local_port > 0
        assert [one.socket for one in watch.of(Connected, process.pid)] == [good.socket]


def test_connection_in_another_network_namespace(watching: Callable[..., Watch]) -> None:
    watch = watching()
    code = "ip link set lo up && exec " + PYTHON + ' -ISc "$0" 127.0.0.1 127.0.0.1'
    process = subprocess.Popen(["unshare", "-n", "sh", "-c", code, TALK], stdout=subprocess.PIPE, text=True)
    process.communicate()
    assert process.returncode == 0
    assert watch.one(Connect, process.pid).flow.remote == "127.0.0.1"
    assert watch.one(Accept, process.pid)


def test_connected_datagram_sockets(watching: Callable[..., Watch]) -> None:
    watch = watching()
    code = """
import socket
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    for port in (0, 5353):
        socket.socket(family, socket.SOCK_DGRAM).connect((address, port))
"""
    process = python(code)
    watch.one(Exit, process.pid)
    flows = [one.flow for one in watch.of(Datagram, process.pid)]
    assert [(flow.remote, flow.remote_port, flow.protocol) for flow in flows] == [
        ("127.0.0.1", 5353, 17),
        ("::1", 5353, 17),
    ]
    assert all(flow.local_port for flow in flows)
