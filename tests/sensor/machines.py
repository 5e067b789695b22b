"""Two network namespaces joined by a veth pair, and a listener that gets a shell; all of it ends with the block."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ATTACKER, VICTIM = "10.77.0.1", "10.77.0.2"
PYTHON = str(Path(sys.executable).resolve())
PORT = 4242
LISTENER = """
import socket, sys
server = socket.create_server(("10.77.0.1", 4242))
print("listening", flush=True)
connection, _ = server.accept()
connection.settimeout(10)
connection.sendall(b"id\\nexit\\n")
answer = b""
while data := connection.recv(4096):
    answer += data
print(answer.decode(), flush=True)
"""


@contextmanager
def two_machines() -> Iterator[tuple[list[str], list[str]]]:
    """Give the beginnings of command lines that run on the attacker's and on the victim's side."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2 for network namespaces")
    names = [f"maxspan{os.getpid()}{side}" for side in "av"]
    try:
        made = [subprocess.run(["ip", "netns", "add", name], capture_output=True) for name in names]
        if any(one.returncode for one in made):
            pytest.skip(f"cannot make network namespaces: {made[0].stderr.decode().strip()}")
        ip("-n", names[0], "link", "add", "maxspan0", "type", "veth", "peer", "name", "maxspan0", "netns", names[1])
        for name, address in zip(names, (ATTACKER, VICTIM), strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "maxspan0")
            ip("-n", name, "link", "set", "maxspan0", "up")
        yield ["ip", "netns", "exec", names[0]], ["ip", "netns", "exec", names[1]]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


def shell_over(attacker: list[str], victim: list[str], *payload: str) -> str:
    """Run a payload against a listener that types two commands; give what it got back."""
    with subprocess.Popen([*attacker, PYTHON, "-c", LISTENER], stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n"
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/nonexistent"}
        subprocess.run([*victim, *payload], env=environment, capture_output=True, timeout=20)
        return listener.stdout.read()
