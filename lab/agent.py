"""The first process of a lab machine: starts programs and makes sockets when told to, and reaps what is orphaned.

It speaks one JSON object a packet over a socket that it inherits. Packets back may carry a file descriptor (a socket
made inside the machine's network) or credentials (a process id, which the kernel translates for the reader).
Only the standard library is imported: this file runs inside the namespaces.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

REAP_EVERY_SECONDS = 0.05
#: What `unshare` leaves of a process id namespace's first process: it may signal everything in it, and only that.
EVERYTHING = -1


class Agent:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.ended: dict[int, int] = {}
        self.terminals: list[int] = []

    def serve(self) -> None:
        """Answer until the other side closes; then end, which ends every process of the machine."""
        while True:
            ready, _, _ = select.select([self.control], [], [], REAP_EVERY_SECONDS)
            self.reap()
            if not ready:
                continue
            packet = self.control.recv(1 << 20)
            if not packet:
                return
            request: dict[str, Any] = json.loads(packet)
            getattr(self, "do_" + request.pop("op"))(**request)

    def reap(self) -> None:
        """Collect the exit status of every child that ended, orphans included."""
        while True:
            try:
                pid, status = os.waitpid(EVERYTHING, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.ended[pid] = os.waitstatus_to_exitcode(status)

    def reply(self, body: dict[str, Any], ancillary: tuple[tuple[int, int, bytes], ...] = ()) -> None:
        self.control.sendmsg([json.dumps(body).encode()], ancillary)

    def do_spawn(
        self, argv: list[str], env: dict[str, str], cwd: str, output: str, uid: int = 0, terminal: bool = False
    ) -> None:
        """Start a program in a session of its own and reply with its pid, here and (as credentials) outside.

        `output` is the file that stdout and stderr go to; stdin is /dev/null, or a new terminal that nobody types on.
        The program waits for a byte on a pipe before it is executed, so that its pid is known outside before anything
        happens.
        """
        gate_read, gate_write = os.pipe()
        stdin = self.new_terminal() if terminal else os.open("/dev/null", os.O_RDONLY)
        pid = os.fork()
        if pid == 0:
            _become(argv, env, cwd, output, uid, gate_read, stdin)
        os.close(gate_read)
        os.close(stdin)
        credentials = struct.pack("3i", pid, 0, 0)
        self.reply({"pid": pid}, ((socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials),))
        os.write(gate_write, b"x")
        os.close(gate_write)

    def new_terminal(self) -> int:
        """Open a terminal pair; give the side for the program, keep the other until everything is ended."""
        mine, its = os.openpty()
        os.set_inheritable(mine, False)
        self.terminals.append(mine)
        return its

    def do_status(self, pid: int) -> None:
        """Reply with the exit status of a program (negative: the signal), or null while it runs."""
        self.reap()
        self.reply({"status": self.ended.get(pid)})

    def do_socket(self, family: int, kind: int, bind: list[Any] | None = None, listen: bool = False) -> None:
        """Make a socket in this machine's network and reply with its file descriptor."""
        with socket.socket(family, kind) as made:
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if bind is not None:
                    made.bind(tuple(bind))
                if listen:
                    made.listen(8)
            except OSError as error:
                self.reply({"error": str(error)})
                return
            self.reply({}, ((socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", made.fileno())),))

    def do_end_all(self, patience: float) -> None:
        """End every process of the machine but this one; reply with how many were still there after `patience`."""
        deadline = time.monotonic() + patience
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if not self._signal_all(sign):
                break
            until = min(deadline, time.monotonic() + 0.3) if sign == signal.SIGTERM else deadline
            while time.monotonic() < until and self._signal_all(0):
                time.sleep(0.005)
        left = self._signal_all(0)
        self.ended.clear()
        while self.terminals:
            os.close(self.terminals.pop())
        self.reply({"left": int(left)})

    def _signal_all(self, sign: int) -> bool:
        self.reap()
        try:
            os.kill(EVERYTHING, sign)
        except ProcessLookupError:
            return False
        return True


def _become(argv: list[str], env: dict[str, str], cwd: str, output: str, uid: int, gate: int, stdin: int) -> None:
    """Turn the forked child into the program; never returns."""
    try:
        os.read(gate, 1)
        os.setsid()
        sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(stdin, 0)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.closerange(3, 256)
        os.chdir(cwd)
        if uid:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        for sign in (signal.SIGPIPE, signal.SIGINT, signal.SIGXFSZ):
            signal.signal(sign, signal.SIG_DFL)
        os.execve(argv[0], argv, env)
    except OSError as error:
        os.write(2, f"lab agent: {argv[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runner; it ends the machine by closing the socket
    with socket.socket(fileno=int(sys.argv[1])) as control:
        Agent(control).serve()


if __name__ == "__main__":
    main()
