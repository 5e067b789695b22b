"""Bytes of the ring buffer become records: every kind, odd text, clipped parts."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.errors import SensorError
from maxspan.sensor import layout, records
from maxspan.sensor.decode import Decoder
from maxspan.sensor.values import arguments_of, flow_of, joined, path_of

OFFSET = 1_000_000
IDS = layout.IDS.struct.pack(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
ALL_IDS = records.Ids(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
HEAD = (500, 77, 42, 43)
TEXT = st.text(st.characters(blacklist_characters="\0/", blacklist_categories=("Cs",)), min_size=1, max_size=20)


def head(kind: int, flags: int = 0) -> tuple[int, ...]:
    return (*HEAD, kind, flags, 0)


def decoded(data: bytes, environment: frozenset[str] = frozenset()) -> records.Record:
    # Somewhere inside of a buffer, as in the ring.
    return Decoder(offset_ns=OFFSET, environment=environment).decode(b"\xaa" * 16 + data + b"\xbb" * 16, 16)


def names(path: str) -> bytes:
    return b"".join(name.encode() + b"\0" for name in reversed(path.split("/")) if name)


def flow(local: str, local_port: int, remote: str, remote_port: int, family: int = 2) -> bytes:
    packed = [socket.inet_pton(family, address).ljust(16, b"\0") for address in (local, remote)]
    return layout.FLOW.struct.pack(family, 1, 6, 1, local_port, remote_port, 0, *packed)


def exec_bytes(args: bytes, flags: int = 0, environment: bytes = b"", descriptors: bytes = b"") -> bytes:
    image = layout.IMAGE.struct.pack(11, 12, 13, 14, 15, 16, 17, 18)
    executable, directory = names("/usr/bin/dash"), names("")
    return (
        layout.EXEC.struct.pack(
            *head(2, flags),
            IDS,
            70,
            7,
            3,
            99,
            b"sh\0junk",
            image,
            descriptors.ljust(3 * layout.DESCRIPTOR.size, b"\0"),
            len(executable),
            len(directory),
            len(args),
            len(environment),
        )
        + executable
        + directory
        + args
        + environment
    )


def test_exec() -> None:
    record = decoded(exec_bytes(b"sh\0-c\0\0\xc3\xa9\xff\0", flags=records.ARGS_CLIPPED | records.DELETED))
    assert isinstance(record, records.Exec)
    assert (record.time_ns, record.start_ns, record.pid, record.tid) == (500 + OFFSET, 77, 42, 43)
    assert (record.parent_pid, record.parent_start_ns, record.cgroup) == (7, 70, 99)
    assert record.ids == ALL_IDS
    assert (record.executable, record.directory, record.comm) == ("/usr/bin/dash", "/", "sh")
    assert record.args == ["sh", "-c", "", "é\\xff"]
    assert record.image == records.Image(11, 17, 12, 18, 13_000_000_015, 14_000_000_016)
    assert record.descriptors == (records.Descriptor(),) * 3
    assert record.args_clipped and record.clipped and record.deleted and not record.own


def test_environment_keeps_only_what_was_asked_for() -> None:
    environment = b"HOME=/root\0LD_PRELOAD=/tmp/x=y\0SECRET=1\0broken\0LD_"
    record = decoded(exec_bytes(b"x\0", environment=environment), frozenset({"LD_PRELOAD", "broken"}))
    assert isinstance(record, records.Exec)
    assert record.environment == {"LD_PRELOAD": "/tmp/x=y"}


def test_descriptors_say_what_they_are() -> None:
    def one(kind: int, device: int, inode: int = 5, raw_flow: bytes = bytes(layout.FLOW.size)) -> bytes:
        return layout.DESCRIPTOR.struct.pack(kind, device, inode, raw_flow)

    raw = one(3, 136 << 20 | 2) + one(3, 1 << 20 | 3) + one(4, 0, 9, flow("::ffff:10.0.0.1", 5, "::1", 6, 10))
    record = decoded(exec_bytes(b"x\0", descriptors=raw))
    assert isinstance(record, records.Exec)
    tty, null, connected = record.descriptors
    assert (tty.type, tty.device & 0xFFFFF, tty.flow) == ("tty", 2, None)
    assert null.type == "null"
    assert connected.type == "socket" and connected.inode == 9
    assert connected.flow and (connected.flow.local, connected.flow.remote) == ("10.0.0.1", "::1")


@pytest.mark.parametrize(
    ("code", "exit_code", "signal"), [(0, 0, 0), (0x300, 3, 0), (9, 0, 9), (0x8B, 0, 11), (0xFF00, 255, 0)]
)
def test_exit_codes(code: int, exit_code: int, signal: int) -> None:
    record = decoded(layout.EXIT.struct.pack(*head(3), IDS, code, 0, b"x"))
    assert isinstance(record, records.Exit)
    assert (record.exit_code, record.signal) == (exit_code, signal)


@pytest.mark.parametrize("cls", [records.Connect, records.Connected, records.Accept, records.Close, records.Datagram])
def test_sockets(cls: type[records.SocketRecord]) -> None:
    ends = flow("10.0.0.1", 1000, "192.0.2.9", 443)
    raw = layout.SOCKET.struct.pack(*head(layout.KIND_NUMBERS[cls]), IDS, ends, 5, 6, 7, 2, 0, b"nc")
    record = decoded(raw)
    assert type(record) is cls
    assert record.flow == records.Flow(2, 1, 6, 1, "10.0.0.1", 1000, "192.0.2.9", 443)
    assert (record.role, record.socket, record.comm) == ("server", 5, "nc")
    if isinstance(record, records.Close):
        assert (record.bytes_sent, record.bytes_received, record.established) == (6, 7, False)


def test_mapped_ipv6_becomes_ipv4() -> None:
    both = flow_of(flow("::ffff:10.0.0.1", 1, "::ffff:192.0.2.9", 2, socket.AF_INET6))
    assert (both.family, both.local, both.remote) == (2, "10.0.0.1", "192.0.2.9")
    unbound = flow_of(flow("::", 0, "::ffff:192.0.2.9", 2, socket.AF_INET6))
    assert (unbound.family, unbound.local, unbound.remote) == (2, "0.0.0.0", "192.0.2.9")
    real = flow_of(flow("fe80::1", 1, "2001:db8::2", 2, socket.AF_INET6))
    assert (real.family, real.local, real.remote) == (10, "fe80::1", "2001:db8::2")


def path_bytes(operation: int, texts: list[bytes], bases: list[str]) -> bytes:
    texts = [text + b"\0" for text in texts] + [b""] * (2 - len(texts))
    folders = [names(base) for base in bases] + [b""] * (2 - len(bases))
    sizes = [len(piece) for piece in (*texts, *folders)]
    return layout.PATH.struct.pack(*head(11), IDS, operation, 0, *sizes, b"mv") + b"".join((*texts, *folders))


def test_paths_are_joined() -> None:
    rename = decoded(path_bytes(1, [b"a", b"/etc//cron.d/./x"], ["/tmp/w", ""]))
    assert isinstance(rename, records.FilePath)
    assert (rename.operation, rename.path, rename.source) == ("rename", "/etc/cron.d/x", "/tmp/w/a")
    remove = decoded(path_bytes(2, [b"../b"], ["/tmp/w"]))
    assert isinstance(remove, records.FilePath)
    assert (remove.operation, remove.path, remove.source) == ("unlink", "/tmp/b", "")
    link = decoded(path_bytes(5, [b"../../target", b"name"], ["", "/tmp/w"]))
    assert isinstance(link, records.FilePath)
    assert (link.operation, link.path, link.source) == ("symlink", "/tmp/w/name", "../../target")


def test_the_other_kinds() -> None:
    opened = layout.OPEN.struct.pack(*head(10, 64), IDS, bytes(layout.IMAGE.size), 4, 0, b"sh") + names("/a/b")
    record = decoded(opened)
    assert isinstance(record, records.FileOpen)
    assert record.path == "/a/b" and record.created and not record.truncated
    module = layout.MODULE.struct.pack(*head(12), IDS, 4, b"insmod", b"evil", b"1.0", b"ABC")
    assert decoded(module) == records.Module(500 + OFFSET, 42, 43, 77, 0, ALL_IDS, "evil", "1.0", "ABC", 4, "insmod")
    bpf = layout.BPF.struct.pack(*head(13), IDS, 3, 17, 4, 0, b"tc", b"filter")
    assert decoded(bpf) == records.BpfLoad(500 + OFFSET, 42, 43, 77, 0, ALL_IDS, "filter", 3, 4, 17, "tc")
    change = layout.IDS_CHANGE.struct.pack(*head(14), IDS, 3, 0, b"su")
    assert decoded(change) == records.IdsChange(500 + OFFSET, 42, 43, 77, 0, ALL_IDS, "session", "su")
    cgroup = layout.CGROUP.struct.pack(*head(4), 12, 10, 0) + names("/a.slice/b")
    assert decoded(cgroup) == records.Cgroup(500 + OFFSET, 42, 43, 77, 0, 12, "/a.slice/b")
    fork = layout.FORK.struct.pack(*head(1, 512), IDS, 70, 7, 0, 9, b"sh")
    record = decoded(fork)
    assert record == records.Fork(500 + OFFSET, 42, 43, 77, 512, ALL_IDS, 7, 70, 9, "sh")
    assert record.own


@pytest.mark.parametrize("kind", [0, 15, 65535])
def test_an_unknown_kind_is_said(kind: int) -> None:
    with pytest.raises(SensorError, match="unknown kind"):
        decoded(layout.HEAD.struct.pack(*head(kind)))


@given(st.lists(TEXT, max_size=6))
def test_path_of_gives_back_the_path(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert path_of(names(path)) == path


def test_roots_and_memory_files() -> None:
    assert path_of(b"") == "/"
    assert path_of(b"/\0") == "/"
    assert path_of(b"memfd:x\0") == "/memfd:x"


@given(st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",))), min_size=1))
def test_arguments_come_back(args: list[str]) -> None:
    raw = b"".join(arg.encode() + b"\0" for arg in args)
    assert arguments_of(raw) == args
    # Cut after the last one's text: nothing but an empty last one can be missing.
    cut = arguments_of(raw[:-1])
    assert cut == (args if args[-1] else args[:-1])


@given(st.binary(max_size=200))
def test_any_bytes_become_text_that_can_be_written(raw: bytes) -> None:
    for arg in arguments_of(raw):
        arg.encode("utf-8")


@given(st.lists(TEXT, max_size=4), st.lists(st.sampled_from(["a", "b", ".", "..", ""]), max_size=6))
def test_joined_paths_are_normal(base: list[str], given_parts: list[str]) -> None:
    path = joined("/" + "/".join(base), "/".join(given_parts))
    assert path.startswith("/")
    assert not {".", ".."} & set(path.split("/")) - set(base)
    assert "//" not in path


def test_the_memories_are_bounded() -> None:
    decoder = Decoder(offset_ns=0)
    for number in range(10_000):
        ids = layout.IDS.struct.pack(number, 2, 3, 4, 5, 6, 7, 8, 9, 10)
        record = decoder.decode(layout.FORK.struct.pack(*head(1), ids, 70, 7, 0, 9, struct.pack("<I", number)), 0)
        assert isinstance(record, records.Fork) and record.ids.uid == number
    assert len(decoder._ids) <= 4096 and len(decoder._comm) <= 4096
