"""Events of `endpoint.events.network`: connections that are tried, accepted, connected (UDP) and closed."""

from __future__ import annotations

from typing import Final

from maxspan.sensor.documents.envelope import NETWORK, Envelope
from maxspan.sensor.documents.process_events import ProcessEvents
from maxspan.sensor.process import Process
from maxspan.sensor.records import Accept, Close, Connect, Datagram, Flow, SocketRecord

_TRANSPORTS: Final = {6: b"tcp", 17: b"udp", 132: b"sctp"}
_FAILED: Final = b',"outcome":"failure"'


class NetworkEvents:
    """Writes events about connections. The source is always the side that called."""

    def __init__(self, envelope: Envelope, processes: ProcessEvents) -> None:
        self._envelope = envelope
        self._processes = processes
        self._attempted = envelope.action("connection_attempted", "network", "start", NETWORK)
        self._accepted = envelope.action("connection_accepted", "network", "start", NETWORK)
        self._datagram = envelope.action("datagram_connected", "network", "start", NETWORK)
        self._disconnect = envelope.action("disconnect_received", "network", "end", NETWORK)
        self._failed = envelope.action("connection_failed", "network", "end", NETWORK)

    def attempted(self, record: Connect, process: Process) -> bytes:
        return self._document(record, process, self._envelope.begin(record.time_ns, self._attempted))

    def accepted(self, record: Accept, process: Process) -> bytes:
        return self._document(record, process, self._envelope.begin(record.time_ns, self._accepted), server=True)

    def datagram(self, record: Datagram, process: Process) -> bytes:
        return self._document(record, process, self._envelope.begin(record.time_ns, self._datagram))

    def closed(self, record: Close, process: Process) -> bytes:
        """Write the end of a connection with its bytes; one that never stood has another action, and no bytes."""
        server = record.role == "server"
        if not record.established:
            begin = self._envelope.begin(record.time_ns, self._failed, _FAILED)
            return self._document(record, process, begin, server=server)
        begin = self._envelope.begin(record.time_ns, self._disconnect)
        sent, received = b',"bytes":%d' % record.bytes_sent, b',"bytes":%d' % record.bytes_received
        return self._document(record, process, begin, local_bytes=sent, remote_bytes=received, server=server)

    def _document(
        self,
        record: SocketRecord,
        process: Process,
        begin: bytes,
        *,
        local_bytes: bytes = b"",
        remote_bytes: bytes = b"",
        server: bool = False,
    ) -> bytes:
        flow = record.flow
        local = _end(flow.local, flow.local_port, local_bytes)
        remote = _end(flow.remote, flow.remote_port, remote_bytes)
        source, destination = (remote, local) if server else (local, remote)
        return b'%b,"network":{"direction":"%b",%b},"source":{%b},"destination":{%b}%b' % (
            begin,
            b"ingress" if server else b"egress",
            _kind(flow),
            source,
            destination,
            self._processes.subject(process, record.tid, record.comm or process.comm),
        )


def _kind(flow: Flow) -> bytes:
    transport = _TRANSPORTS.get(flow.protocol) or (b"udp" if flow.type == 2 else b"tcp")
    return b'"transport":"%b","type":"%b"' % (transport, b"ipv6" if flow.family == 10 else b"ipv4")


def _end(address: str, port: int, more: bytes) -> bytes:
    if not address:
        return b'"port":%d%b' % (port, more)
    text = address.encode()
    return b'"address":"%b","ip":"%b","port":%d%b' % (text, text, port, more)
