"""Two machines on one host: network, process and mount namespaces, joined by a veth pair.

The namespaces have no name and no file: they live as long as their first process does, and that one ends when its
control socket closes, when the runner ends in whatever way, or when it is killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError

PEER_IP, VICTIM_IP = "10.77.0.1", "10.77.0.2"
PEER_IP6, VICTIM_IP6 = "fd77::1", "fd77::2"
#: Real interpreters only: version managers put shims (shell scripts) in front of them, whose processes would be seen.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
REPLY_SECONDS = 10.0
PR_SET_PDEATHSIG = 1
TCP_LISTEN = "0A"
#: Private to each machine: what is written there is seen by its own programs only, and goes with the machine.
PRIVATE_FOLDERS = ("/etc", "/var", "/opt", "/usr")
#: Run once in a new machine: /run and shared memory of its own, no scheduled work of the host, no package sources,
#: root's home ours.
SETTLE = """
mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/sshd /run/lock
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
rm -rf /etc/crontab /etc/cron.*/* /var/spool/cron/crontabs/* /etc/apt/sources.list.d/* /etc/apt/sources.list
rm -f /etc/apt/apt.conf.d/*proxy*
sed -i "s|^root:\\([^:]*\\):0:0:\\([^:]*\\):[^:]*:.*|root:\\1:0:0:\\2:$HOME:/bin/bash|" /etc/passwd
ip link set lo up
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that was started on a machine. `pid` is its number there, `host_pid` the one that the sensor sees."""

    pid: int
    host_pid: int
    output: Path

    def text(self) -> str:
        """What it has written so far, standard output and error together."""
        return self.output.read_text("utf-8", "replace") if self.output.exists() else ""


class Machine:
    """One of the two machines. Use as a context manager, or call `close`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.home = folder / name
        self.home.mkdir()
        self._outputs = folder / f"{name}-output"
        self._outputs.mkdir()
        self._layers = folder / f"{name}-layers"
        self._count = 0
        #: The host's numbers of all programs started since the last `end_all`.
        self.host_pids: list[int] = []
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        mine.settimeout(REPLY_SECONDS)
        self._control = mine
        self._root = Path(__file__).resolve().parent.parent
        with its:
            self._process = subprocess.Popen(
                [
                    *(
                        "/usr/bin/unshare",
                        "--net",
                        "--pid",
                        "--mount",
                        "--mount-proc",
                        "--fork",
                        "--kill-child=SIGKILL",
                    ),
                    *(sys.executable, "-m", "lab.agent", str(its.fileno())),
                ],
                cwd=self._root,
                pass_fds=[its.fileno()],
                preexec_fn=_end_with_parent,
                stdin=subprocess.DEVNULL,
            )
        self.init_pid = self._settle()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the machine; the namespaces go with the last of them."""
        self._control.close()
        try:
            self._process.wait(REPLY_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pids(self) -> tuple[int, int]:
        """The host's numbers of the machine's two outermost processes: `unshare`, and the first one inside."""
        return self._process.pid, self.init_pid

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every program: a home of its own, no shims, nothing of the caller's."""
        return {
            "HOME": str(self.home),
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "USER": "root",
            "SHELL": "/bin/sh",
        }

    def spawn(
        self,
        *argv: str,
        cwd: Path | None = None,
        uid: int = 0,
        env: dict[str, str] | None = None,
        terminal: bool = False,
    ) -> Program:
        """Start a program; the first argument is found on the lab's PATH. Its stdin is /dev/null or a
        terminal of its own."""
        program = argv[0] if "/" in argv[0] else (shutil.which(argv[0], path=PATH) or argv[0])
        self._count += 1
        output = self._outputs / f"{self._count}.txt"
        output.touch()
        output.chmod(0o666)
        reply, host_pid, _ = self._ask(
            op="spawn",
            argv=[program, *argv[1:]],
            env=self.environment | (env or {}),
            cwd=str(cwd or self.home),
            output=str(output),
            uid=uid,
            terminal=terminal,
        )
        self.host_pids.append(host_pid)
        return Program(reply["pid"], host_pid, output)

    def status(self, program: Program) -> int | None:
        """Exit status (negative: the signal that ended it); None while it runs."""
        status: int | None = self._ask(op="status", pid=program.pid)[0]["status"]
        return status

    def wait(self, program: Program, seconds: float) -> int | None:
        """Wait for a program to end; None when it still runs after `seconds`."""
        deadline = time.monotonic() + seconds
        while (status := self.status(program)) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return status

    def run(self, *argv: str, seconds: float = 20.0, cwd: Path | None = None, uid: int = 0) -> str:
        """Run a program to its end and give its output; raises LabError when it fails or takes longer."""
        program = self.spawn(*argv, cwd=cwd, uid=uid)
        status = self.wait(program, seconds)
        if status != 0:
            how = "did not end" if status is None else f"ended with {status}"
            raise LabError(f"{self.name}: {' '.join(argv)[:200]} {how}: {program.text()[-500:].strip()}")
        return program.text()

    def make_socket(
        self, family: int, kind: int, bind: tuple[Any, ...] | None = None, *, listen: bool = False
    ) -> socket.socket:
        """Make a socket that lives in this machine's network and belongs to the caller."""
        reply, _, fd = self._ask(op="socket", family=family, kind=kind, bind=bind, listen=listen)
        if fd is None:
            raise LabError(f"{self.name}: no socket for {bind}: {reply.get('error', 'no reason given')}")
        return socket.socket(fileno=fd)

    def wait_for_port(self, port: int, seconds: float = 15.0) -> None:
        """Wait until something listens on a TCP port here; read from the kernel's table, no connection is made."""
        deadline = time.monotonic() + seconds
        ending = f":{port:04X}"
        while time.monotonic() < deadline:
            for table in ("tcp", "tcp6"):
                for line in Path(f"/proc/{self.init_pid}/net/{table}").read_text("ascii").splitlines()[1:]:
                    fields = line.split()
                    if fields[1].endswith(ending) and fields[3] == TCP_LISTEN:
                        return
            time.sleep(0.02)
        raise LabError(f"{self.name}: nothing listens on port {port} after {seconds:.0f} s")

    def end_all(self) -> None:
        """End every program of the machine; raises LabError if one cannot be ended."""
        if self._ask(op="end_all", patience=5.0)[0]["left"]:
            raise LabError(f"{self.name}: processes are left that could not be ended")
        self.host_pids.clear()

    def empty_home(self) -> None:
        """Remove what programs left in the home folder."""
        shutil.rmtree(self.home)
        self.home.mkdir()

    def layer_file(self, path: str, text: str) -> None:
        """Write a file as this machine sees it, without any process of the machine doing it: through its mounts."""
        target = Path(f"/proc/{self.init_pid}/root{path}")
        target.write_text(text, "utf-8")
        target.chmod(0o644)

    def _ask(self, **request: Any) -> tuple[dict[str, Any], int, int | None]:
        """Send a request; give the reply, the pid in its credentials and the descriptor that came with it."""
        try:
            self._control.send(json.dumps(request).encode())
            data, ancillary, _, _ = self._control.recvmsg(1 << 16, socket.CMSG_SPACE(12) + socket.CMSG_SPACE(4))
        except OSError as error:
            raise LabError(f"{self.name}: the machine does not answer: {error}") from error
        if not data:
            raise LabError(f"{self.name}: the machine has ended")
        pid, fd = 0, None
        for _, kind, value in ancillary:
            if kind == socket.SCM_CREDENTIALS:
                pid = struct.unpack("3i", value)[0]
            elif kind == socket.SCM_RIGHTS:
                fd = struct.unpack("i", value)[0]
        return json.loads(data), pid, fd

    def _settle(self) -> int:
        """Give the machine its private folders; give the host's number of its first process."""
        init = self._ask(op="status", pid=0)[1]
        for folder in PRIVATE_FOLDERS:
            layer = self._layers / folder.strip("/")
            (layer / "upper").mkdir(parents=True)
            (layer / "work").mkdir()
            options = f"lowerdir={folder},upperdir={layer}/upper,workdir={layer}/work"
            self.run("mount", "-t", "overlay", "overlay", "-o", options, folder)
        self.run("/bin/sh", "-ec", SETTLE)
        return init


@dataclass(frozen=True, slots=True)
class Pair:
    """The two machines and the folder that holds all that they write."""

    folder: Path
    peer: Machine
    victim: Machine

    def end_all(self) -> None:
        """End every program on both machines and empty both home folders."""
        for machine in (self.victim, self.peer):
            machine.end_all()
            machine.empty_home()


@contextmanager
def open_pair(folder: Path) -> Iterator[Pair]:
    """Make two machines, joined; they end with the block."""
    with Machine("victim", folder) as victim, Machine("peer", folder) as peer:
        join(peer, victim)
        yield Pair(folder, peer, victim)


def join(peer: Machine, victim: Machine) -> None:
    """Lay the veth pair between the two machines and give it addresses. The host's network is not involved."""
    command = ["/usr/sbin/ip", "link", "add", "name", "eth0", "netns", str(peer.init_pid), "type", "veth"]
    command += ["peer", "name", "eth0", "netns", str(victim.init_pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"cannot make a veth pair: {done.stderr.strip()}")
    for machine, ip, ip6 in ((peer, PEER_IP, PEER_IP6), (victim, VICTIM_IP, VICTIM_IP6)):
        machine.run("ip", "addr", "add", f"{ip}/24", "dev", "eth0")
        machine.run("ip", "-6", "addr", "add", f"{ip6}/64", "dev", "eth0", "nodad")
        machine.run("ip", "link", "set", "eth0", "up")


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
