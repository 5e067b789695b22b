"""Bytes of the ring buffer become records, one function a kind of record."""

from __future__ import annotations

from collections.abc import Callable
from mmap import mmap
from typing import Final, Literal, cast, get_args

from maxspan.errors import SensorError
from maxspan.sensor import layout
from maxspan.sensor.records import (
    Accept,
    BpfLoad,
    Cgroup,
    Close,
    Connect,
    Connected,
    Datagram,
    Descriptor,
    Exec,
    Exit,
    FileOpen,
    FilePath,
    Flow,
    Fork,
    IdChange,
    Ids,
    IdsChange,
    Image,
    Module,
    Operation,
    Record,
)
from maxspan.sensor.values import Memory, arguments_of, descriptor_of, flow_of, image_of, joined, path_of, text

OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
CHANGES: Final[tuple[IdChange, ...]] = get_args(IdChange)

Buffer = bytes | memoryview | mmap


class Decoder:
    """Decodes the records of one ring buffer. `offset_ns` is added to every time (wall clock minus boot clock).

    `environment` are the names of the variables that are kept.
    """

    def __init__(self, *, offset_ns: int, environment: frozenset[str] = frozenset()) -> None:
        self.offset_ns = offset_ns
        self.environment = environment
        self._ids: Memory[Ids] = Memory(lambda raw: Ids(*layout.IDS.struct.unpack(raw)))
        self._comm: Memory[str] = Memory(lambda raw: text(raw.partition(b"\0")[0]))
        self._path: Memory[str] = Memory(path_of)
        self._flow: Memory[Flow] = Memory(flow_of)
        self._image: Memory[Image] = Memory(image_of)
        self._descriptor: Memory[Descriptor] = Memory(descriptor_of)
        self._descriptors: Memory[tuple[Descriptor, ...]] = Memory(self._three)
        self._by_kind: tuple[Callable[[Buffer, int], Record] | None, ...] = (
            None,
            self._fork,
            self._exec,
            self._exit,
            self._cgroup,
            *(self._socket,) * 5,
            self._open,
            self._file_path,
            self._module,
            self._bpf,
            self._ids_change,
        )
        self._socket_types = {layout.KIND_NUMBERS[cls]: cls for cls in (Connect, Connected, Accept, Close, Datagram)}

    def decode(self, buffer: Buffer, at: int) -> Record:
        """Decode the record that begins at `at`. Raises SensorError for a kind that is not known."""
        kind = buffer[at + 24] | buffer[at + 25] << 8
        function = self._by_kind[kind] if kind < len(self._by_kind) else None
        if function is None:
            raise SensorError(
                f"the BPF object sent a record of the unknown kind {kind}: object and package do not match"
            )
        return function(buffer, at)

    def _three(self, raw: bytes) -> tuple[Descriptor, ...]:
        size = layout.DESCRIPTOR.size
        one = self._descriptor
        return one[raw[:size]], one[raw[size : 2 * size]], one[raw[2 * size :]]

    def _fork(self, buffer: Buffer, at: int) -> Fork:
        time_ns, start_ns, pid, tid, _, flags, _, ids, parent_start, parent_pid, _, cgroup, comm = (
            layout.FORK.struct.unpack_from(buffer, at)
        )
        return Fork(
            time_ns + self.offset_ns,
            pid,
            tid,
            start_ns,
            flags,
            self._ids[ids],
            parent_pid,
            parent_start,
            cgroup,
            self._comm[comm],
        )

    def _exec(self, buffer: Buffer, at: int) -> Exec:
        (
            time_ns,
            start_ns,
            pid,
            tid,
            _,
            flags,
            _,
            ids,
            parent_start,
            parent_pid,
            argc,
            cgroup,
            comm,
            image,
            descriptors,
            executable_bytes,
            directory_bytes,
            arguments_bytes,
            environment_bytes,
        ) = layout.EXEC.struct.unpack_from(buffer, at)
        first = at + layout.EXEC.size
        second = first + executable_bytes
        third = second + directory_bytes
        fourth = third + arguments_bytes
        environment = {}
        if environment_bytes:
            for item in arguments_of(bytes(buffer[fourth : fourth + environment_bytes])):
                name, equals, value = item.partition("=")
                if equals and name in self.environment:
                    environment[name] = value
        return Exec(
            time_ns + self.offset_ns,
            pid,
            tid,
            start_ns,
            flags,
            self._ids[ids],
            parent_pid,
            parent_start,
            cgroup,
            self._comm[comm],
            self._path[bytes(buffer[first:second])],
            self._path[bytes(buffer[second:third])],
            arguments_of(bytes(buffer[third:fourth])),
            argc,
            environment,
            self._image[image],
            self._descriptors[descriptors],
        )

    def _exit(self, buffer: Buffer, at: int) -> Exit:
        time_ns, start_ns, pid, tid, _, flags, _, ids, code, _, comm = layout.EXIT.struct.unpack_from(buffer, at)
        return Exit(
            time_ns + self.offset_ns,
            pid,
            tid,
            start_ns,
            flags,
            self._ids[ids],
            code >> 8 & 0xFF,
            code & 0x7F,
            self._comm[comm],
        )

    def _cgroup(self, buffer: Buffer, at: int) -> Cgroup:
        time_ns, start_ns, pid, tid, _, flags, _, cgroup, size, _ = layout.CGROUP.struct.unpack_from(buffer, at)
        first = at + layout.CGROUP.size
        path = path_of(bytes(buffer[first : first + size]))
        return Cgroup(time_ns + self.offset_ns, pid, tid, start_ns, flags, cgroup, path)

    def _socket(self, buffer: Buffer, at: int) -> Record:
        (
            time_ns,
            start_ns,
            pid,
            tid,
            kind,
            flags,
            _,
            ids,
            flow,
            key,
            sent,
            received,
            role_number,
            established,
            comm,
        ) = layout.SOCKET.struct.unpack_from(buffer, at)
        cls = self._socket_types[kind]
        role: Literal["client", "server"] = "server" if role_number == 2 else "client"
        common = (time_ns + self.offset_ns, pid, tid, start_ns, flags, self._ids[ids], self._flow[flow], key, role)
        if cls is Close:
            return Close(*common, self._comm[comm], sent, received, bool(established))
        return cls(*common, self._comm[comm])

    def _open(self, buffer: Buffer, at: int) -> FileOpen:
        time_ns, start_ns, pid, tid, _, flags, _, ids, image, size, _, comm = layout.OPEN.struct.unpack_from(buffer, at)
        first = at + layout.OPEN.size
        path = self._path[bytes(buffer[first : first + size])]
        return FileOpen(
            time_ns + self.offset_ns,
            pid,
            tid,
            start_ns,
            flags,
            self._ids[ids],
            path,
            self._image[image],
            self._comm[comm],
        )

    def _file_path(self, buffer: Buffer, at: int) -> FilePath:
        (
            time_ns,
            start_ns,
            pid,
            tid,
            _,
            flags,
            _,
            ids,
            operation_number,
            _,
            first_text_bytes,
            second_text_bytes,
            first_base_bytes,
            second_base_bytes,
            comm,
        ) = layout.PATH.struct.unpack_from(buffer, at)
        place = at + layout.PATH.size
        pieces = []
        for size in (first_text_bytes, second_text_bytes, first_base_bytes, second_base_bytes):
            pieces.append(bytes(buffer[place : place + size]))
            place += size
        first, second = (text(piece.rstrip(b"\0")) for piece in pieces[:2])
        first_base, second_base = (self._path[piece] for piece in pieces[2:])
        operation = OPERATIONS[operation_number - 1]
        if operation == "symlink":
            path, source = joined(second_base, second), first
        elif second_text_bytes:
            path, source = joined(second_base, second), joined(first_base, first)
        else:
            path, source = joined(first_base, first), ""
        return FilePath(
            time_ns + self.offset_ns,
            pid,
            tid,
            start_ns,
            flags,
            self._ids[ids],
            operation,
            path,
            source,
            self._comm[comm],
        )

    def _module(self, buffer: Buffer, at: int) -> Module:
        (time_ns, start_ns, pid, tid, _, flags, _, ids, taints, comm, name, version, source) = (
            layout.MODULE.struct.unpack_from(buffer, at)
        )
        name, version, source = (text(raw.partition(b"\0")[0]) for raw in (name, version, source))
        common = (time_ns + self.offset_ns, pid, tid, start_ns, flags, self._ids[ids])
        return Module(*common, name, version, source, taints, self._comm[comm])

    def _bpf(self, buffer: Buffer, at: int) -> BpfLoad:
        (time_ns, start_ns, pid, tid, _, flags, _, ids, program_type, instructions, attach_type, _, comm, name) = (
            layout.BPF.struct.unpack_from(buffer, at)
        )
        common = (time_ns + self.offset_ns, pid, tid, start_ns, flags, self._ids[ids])
        name = text(name.partition(b"\0")[0])
        return BpfLoad(*common, name, program_type, attach_type, instructions, self._comm[comm])

    def _ids_change(self, buffer: Buffer, at: int) -> IdsChange:
        time_ns, start_ns, pid, tid, _, flags, _, ids, change, _, comm = layout.IDS_CHANGE.struct.unpack_from(
            buffer, at
        )
        common = (time_ns + self.offset_ns, pid, tid, start_ns, flags, self._ids[ids])
        return IdsChange(*common, cast(IdChange, CHANGES[change - 1]), self._comm[comm])
