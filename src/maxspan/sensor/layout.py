"""The structs of `bpf/layout.h` in Python: names, offsets and formats of what comes through the ring buffer.

A test compares every field with the types that the compiler wrote into the built object (BTF), so the two sides cannot
drift apart unnoticed.
"""

from __future__ import annotations

import struct
from typing import Final

from maxspan.sensor.records import RECORD_TYPES, Record


class Layout:
    """One C struct without padding: fields in order as (name, code). A code is one of `struct`
    ("16s" for bytes), or a Layout.

    `struct` unpacks the flattened fields. Those named in `raw` are nested layouts that stay bytes, to be decoded
    later by themselves (and only once for equal bytes).
    """

    def __init__(self, name: str, *fields: tuple[str, str | Layout], raw: tuple[str, ...] = ()) -> None:
        self.name = name
        self.fields = fields
        self.codes: str = "".join(
            (f"{kind.size}s" if field in raw else kind.codes) if isinstance(kind, Layout) else kind
            for field, kind in fields
        )
        self.struct = struct.Struct("<" + self.codes)
        self.size: int = self.struct.size

    def flat(self, prefix: str = "") -> list[tuple[str, int, int]]:
        """Every field down to the leaves as (name with dots, offset, size) in bytes."""
        out: list[tuple[str, int, int]] = []
        at = 0
        for field, kind in self.fields:
            if isinstance(kind, Layout):
                out += [(name, at + offset, size) for name, offset, size in kind.flat(f"{prefix}{field}.")]
                at += kind.size
            else:
                size = struct.calcsize("<" + kind)
                out.append((prefix + field, at, size))
                at += size
        return out


HEAD: Final = Layout(
    "head",
    ("time_ns", "Q"),
    ("start_ns", "Q"),
    ("pid", "I"),
    ("tid", "I"),
    ("kind", "H"),
    ("flags", "H"),
    ("size", "I"),
)
IDS: Final = Layout(
    "ids",
    ("uid", "I"),
    ("euid", "I"),
    ("gid", "I"),
    ("egid", "I"),
    ("session", "I"),
    ("group", "I"),
    ("tty", "I"),
    ("pid_level", "I"),
    ("capabilities_permitted", "Q"),
    ("capabilities_effective", "Q"),
)
FLOW: Final = Layout(
    "flow",
    ("family", "H"),
    ("type", "H"),
    ("protocol", "H"),
    ("state", "H"),
    ("local_port", "H"),
    ("remote_port", "H"),
    ("reserved", "I"),
    ("local", "16s"),
    ("remote", "16s"),
)
DESCRIPTOR: Final = Layout("descriptor", ("type", "I"), ("device", "I"), ("inode", "Q"), ("flow", FLOW), raw=("flow",))
IMAGE: Final = Layout(
    "image",
    ("inode", "Q"),
    ("size", "q"),
    ("modified_s", "q"),
    ("changed_s", "q"),
    ("modified_ns", "I"),
    ("changed_ns", "I"),
    ("device", "I"),
    ("mode", "I"),
)


class Descriptors(Layout):
    """An array of three descriptors, as fields of their own."""

    def __init__(self) -> None:
        super().__init__("descriptors", ("0", DESCRIPTOR), ("1", DESCRIPTOR), ("2", DESCRIPTOR))


FORK: Final = Layout(
    "fork_record",
    ("head", HEAD),
    ("ids", IDS),
    ("parent_start_ns", "Q"),
    ("parent_pid", "I"),
    ("reserved", "I"),
    ("cgroup", "Q"),
    ("comm", "16s"),
    raw=("ids",),
)
EXEC: Final = Layout(
    "exec_record",
    ("head", HEAD),
    ("ids", IDS),
    ("parent_start_ns", "Q"),
    ("parent_pid", "I"),
    ("argc", "I"),
    ("cgroup", "Q"),
    ("comm", "16s"),
    ("image", IMAGE),
    ("descriptors", Descriptors()),
    ("executable_bytes", "I"),
    ("directory_bytes", "I"),
    ("arguments_bytes", "I"),
    ("environment_bytes", "I"),
    raw=("ids", "image", "descriptors"),
)
EXIT: Final = Layout(
    "exit_record",
    ("head", HEAD),
    ("ids", IDS),
    ("exit_code", "I"),
    ("reserved", "I"),
    ("comm", "16s"),
    raw=("ids",),
)
CGROUP: Final = Layout("cgroup_record", ("head", HEAD), ("cgroup", "Q"), ("path_bytes", "I"), ("reserved", "I"))
SOCKET: Final = Layout(
    "socket_record",
    ("head", HEAD),
    ("ids", IDS),
    ("flow", FLOW),
    ("socket", "Q"),
    ("bytes_sent", "Q"),
    ("bytes_received", "Q"),
    ("role", "I"),
    ("established", "I"),
    ("comm", "16s"),
    raw=("ids", "flow"),
)
OPEN: Final = Layout(
    "open_record",
    ("head", HEAD),
    ("ids", IDS),
    ("image", IMAGE),
    ("path_bytes", "I"),
    ("reserved", "I"),
    ("comm", "16s"),
    raw=("ids", "image"),
)
PATH: Final = Layout(
    "path_record",
    ("head", HEAD),
    ("ids", IDS),
    ("operation", "I"),
    ("reserved", "I"),
    ("first_text_bytes", "I"),
    ("second_text_bytes", "I"),
    ("first_base_bytes", "I"),
    ("second_base_bytes", "I"),
    ("comm", "16s"),
    raw=("ids",),
)
MODULE: Final = Layout(
    "module_record",
    ("head", HEAD),
    ("ids", IDS),
    ("taints", "Q"),
    ("comm", "16s"),
    ("name", "64s"),
    ("version", "32s"),
    ("source_version", "32s"),
    raw=("ids",),
)
BPF: Final = Layout(
    "bpf_record",
    ("head", HEAD),
    ("ids", IDS),
    ("program_type", "I"),
    ("instructions", "I"),
    ("attach_type", "I"),
    ("reserved", "I"),
    ("comm", "16s"),
    ("name", "16s"),
    raw=("ids",),
)
IDS_CHANGE: Final = Layout(
    "ids_record", ("head", HEAD), ("ids", IDS), ("change", "I"), ("reserved", "I"), ("comm", "16s"), raw=("ids",)
)
SETTINGS: Final = Layout(
    "settings",
    ("own_pid", "I"),
    ("environment_wanted", "I"),
    ("secret", "Q"),
    ("wake_bytes", "I"),
    ("hurry_wanted", "I"),
    ("plain_loads", "I"),
    ("reserved", "I"),
)
READER: Final = Layout("reader", ("waits", "I"), ("reserved", "I"))
WATCH_KEY: Final = Layout("watch_key", ("node", "I"), ("name", "28s"))
COUNTERS: Final = Layout("counters", ("seen", "Q"), ("sent", "Q"), ("lost", "Q"), ("clipped", "Q"))

LAYOUTS: Final = (
    HEAD,
    IDS,
    FLOW,
    DESCRIPTOR,
    IMAGE,
    FORK,
    EXEC,
    EXIT,
    CGROUP,
    SOCKET,
    OPEN,
    PATH,
    MODULE,
    BPF,
    IDS_CHANGE,
    SETTINGS,
    READER,
    WATCH_KEY,
    COUNTERS,
)

# enum kind, in the order of its numbers from 1.
KIND_NUMBERS: Final[dict[type[Record], int]] = {cls: number for number, cls in enumerate(RECORD_TYPES, 1)}
# KINDS in layout.h: sets of counters a CPU; MAX_CPUS in scratch.h.
KIND_SLOTS: Final = 16
MAX_CPUS: Final = 256
# Buffers for records of variable size, a CPU (SLOTS in scratch.h).
BUFFERS_PER_CPU: Final = 2
# Marks the end of a watched path (WATCHED in paths.h).
WATCHED: Final = 0x80000000
# Marks the number of a node below which "*" leads on (HAS_ANY in paths.h).
HAS_ANY: Final = 0x10000000
