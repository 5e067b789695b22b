"""What a sensor backend saw, as typed records: the only thing that the rest of the sensor knows of the kernel.

BPF and audit yield the same classes; `kind` names a record's kind in the counters. What a backend cannot know keeps
its default (0, "", empty), and the backend names those fields in `missing_fields`: a default never means "it was so".

Times are nanoseconds. `time_ns` counts from the epoch (the boot clock plus an offset that is measured at start and
renewed when the wall clock is set). `start_ns` stays on the boot clock: with `pid` it names a process beyond reuse of
its number, and `start_ns // 10_000_000` is field 22 of `/proc/PID/stat` (at the usual 100 ticks a second).

Text from the kernel is decoded as UTF-8; a byte that is not valid shows as `\\xNN`, so that every string can be
written as JSON. Strings may still hold control characters: whoever prints them has to escape them.

Order: records come in the order in which the kernel put them into the one ring buffer that all CPUs share. What one
task does is in order, and a fork comes before whatever the child does. Records of different CPUs may differ from the
order of `time_ns` by the few microseconds between taking the time and reserving the place.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from msgspec import Struct

ARGS_CLIPPED: Final = 1 << 0
ARGS_UNREAD: Final = 1 << 1
PATH_CLIPPED: Final = 1 << 2
DIRECTORY_CLIPPED: Final = 1 << 3
ENVIRONMENT_CLIPPED: Final = 1 << 4
DELETED: Final = 1 << 5
CREATED: Final = 1 << 6
UNSURE: Final = 1 << 7
TRUNCATED: Final = 1 << 8
OWN: Final = 1 << 9

DescriptorType = Literal["closed", "file", "pipe", "tty", "null", "character", "socket", "directory", "block", "other"]
Operation = Literal["rename", "unlink", "rmdir", "link", "symlink", "mkdir", "mknod", "truncate"]
IdChange = Literal["uid", "gid", "session"]


class Ids(Struct, frozen=True, gc=False):
    """Who a process runs as: credentials and its place in the job control of the terminal.

    `tty` is the device number of the controlling terminal, `(major << 20) | minor`, 0 without one. `session` and
    `group` are the pids of the leaders, as the initial pid namespace counts them. `pid_level` is the depth of the pid
    namespace (0 = the host's own). Capabilities are bit masks.
    """

    uid: int = 0
    euid: int = 0
    gid: int = 0
    egid: int = 0
    session: int = 0
    group: int = 0
    tty: int = 0
    pid_level: int = 0
    capabilities_permitted: int = 0
    capabilities_effective: int = 0


class Flow(Struct, frozen=True, gc=False):
    """Both ends of a socket. An IPv6 address that maps an IPv4 one (`::ffff:192.0.2.1`) is written as the IPv4 one.

    `family` is the kernel's number (1 unix, 2 IPv4, 10 IPv6; 2 for mapped addresses), `type` 1 stream or 2 datagram,
    `protocol` 6 TCP, 17 UDP, 132 SCTP. Addresses are "" and ports 0 where the socket has none (unix, unbound).
    `state` is the kernel's TCP state (1 established, 2 SYN sent, 7 closed, 10 listening).
    """

    family: int = 0
    type: int = 0
    protocol: int = 0
    state: int = 0
    local: str = ""
    local_port: int = 0
    remote: str = ""
    remote_port: int = 0


class Descriptor(Struct, frozen=True, gc=False):
    """What a file descriptor is. `inode` joins the two ends of a pipe; `device` is `(major << 20) | minor` of a device
    node; `flow` is there for sockets only."""

    type: DescriptorType = "closed"
    device: int = 0
    inode: int = 0
    flow: Flow | None = None


class Image(Struct, frozen=True, gc=False):
    """The file behind a path at the time of the event; a key for caches of hashes. Times: nanoseconds from the epoch.

    `device` is the file system's, `(major << 20) | minor`; `mode` holds type and permission bits."""

    inode: int = 0
    device: int = 0
    size: int = 0
    mode: int = 0
    modified_ns: int = 0
    changed_ns: int = 0


NO_IDS: Final = Ids()
NO_FLOW: Final = Flow()
NO_IMAGE: Final = Image()


class Record(Struct, gc=False):
    """What every record says: when, and which process (`pid`, the thread group) by which of its threads (`tid`).

    `start_ns` is 0 where the backend does not know it. `flags` are the bits above; the properties read them.
    """

    kind: ClassVar[str] = ""

    time_ns: int
    pid: int
    tid: int = 0
    start_ns: int = 0
    flags: int = 0

    @property
    def own(self) -> bool:
        """True for the sensor's own process: marked so that it can be told apart, never dropped."""
        return bool(self.flags & OWN)

    @property
    def clipped(self) -> bool:
        """True when something of the record did not fit or could not be read."""
        return bool(self.flags & (ARGS_CLIPPED | ARGS_UNREAD | PATH_CLIPPED | DIRECTORY_CLIPPED | ENVIRONMENT_CLIPPED))


class Fork(Record, gc=False):
    """A new process; new threads are not reported. `pid` is the child, which runs its parent's program until `Exec`.

    `parent_pid` is the process that forked, at that time: later the kernel would say 1 if it is gone by then.
    """

    kind: ClassVar[str] = "fork"

    ids: Ids = NO_IDS
    parent_pid: int = 0
    parent_start_ns: int = 0
    cgroup: int = 0
    comm: str = ""


class Exec(Record, gc=False):
    """A process became another program.

    `executable` is the resolved path as its mount namespace sees it: of the interpreter for a script, "/memfd:NAME"
    for a program in memory; `deleted` when the file has no name any more. `directory` is the working directory.
    `args` are the arguments (their count as the kernel knows it: `argc`); with `args_clipped` the rest is missing and
    the last one may be cut. `environment` holds the chosen variables only. `descriptors` are fds 0, 1, 2 after close-
    on-exec, or empty when not known. `cgroup` is explained by a `Cgroup` record that came before. `comm` is the
    thread's name.
    """

    kind: ClassVar[str] = "exec"

    ids: Ids = NO_IDS
    parent_pid: int = 0
    parent_start_ns: int = 0
    cgroup: int = 0
    comm: str = ""
    executable: str = ""
    directory: str = ""
    args: list[str] = []
    argc: int = 0
    environment: dict[str, str] = {}
    image: Image = NO_IMAGE
    descriptors: tuple[Descriptor, ...] = ()

    @property
    def args_clipped(self) -> bool:
        """True when arguments are missing: too many bytes, or the memory could not be read."""
        return bool(self.flags & (ARGS_CLIPPED | ARGS_UNREAD))

    @property
    def deleted(self) -> bool:
        """True when the executable had no name in the file system any more (removed, or a memfd)."""
        return bool(self.flags & DELETED)


class Exit(Record, gc=False):
    """The last thread of a process ended; once a process.

    `exit_code` is what it gave to exit (0-255), `signal` the signal that killed it (then `exit_code` is 0).
    """

    kind: ClassVar[str] = "exit"

    ids: Ids = NO_IDS
    exit_code: int = 0
    signal: int = 0
    comm: str = ""


class Cgroup(Record, gc=False):
    """The path of a control group that was not named before, e.g. "/system.slice/docker-<64 hex digits>.scope"."""

    kind: ClassVar[str] = "cgroup"

    cgroup: int = 0
    path: str = ""


class SocketRecord(Record, gc=False):
    """Base of what happens to connections. `pid` owns the connection, which need not be the process that ran then.

    `socket` names the connection among those that are open (an opaque number: a key, not for output). `role`:
    "client" for the side that connected, "server" for the one that accepted.
    """

    ids: Ids = NO_IDS
    flow: Flow = NO_FLOW
    socket: int = 0
    role: Literal["client", "server"] = "client"
    comm: str = ""


class Connect(SocketRecord, gc=False):
    """A TCP connection is tried. The local address and port are mostly not chosen yet ("" or "0.0.0.0", 0):
    `Connected` with the same `socket` brings them, or `Close` when it failed."""

    kind: ClassVar[str] = "connect"


class Connected(SocketRecord, gc=False):
    """A connection that was tried stands; `flow` has both ends now."""

    kind: ClassVar[str] = "connected"


class Accept(SocketRecord, gc=False):
    """A process accepted a connection; `flow.remote` is the one that called."""

    kind: ClassVar[str] = "accept"


class Close(SocketRecord, gc=False):
    """A TCP connection ended or failed. Bytes are those that the other side acknowledged, and those received.

    `established` is False for a connection that never stood (refused, timed out, or cancelled)."""

    kind: ClassVar[str] = "close"

    bytes_sent: int = 0
    bytes_received: int = 0
    established: bool = True


class Datagram(SocketRecord, gc=False):
    """A UDP socket was connected to a peer. What is sent without connecting is not seen."""

    kind: ClassVar[str] = "datagram"


class FileOpen(Record, gc=False):
    """A watched file was created, or opened for writing (the write itself is not seen).

    `path` is the resolved one. `created`: the file was not there before. `truncated`: it was emptied by this.
    `unsure`: the path is too deep to be known whole (then it is `clipped` as well), and may not be a watched one.
    """

    kind: ClassVar[str] = "open"

    ids: Ids = NO_IDS
    path: str = ""
    image: Image = NO_IMAGE
    comm: str = ""

    @property
    def created(self) -> bool:
        return bool(self.flags & CREATED)

    @property
    def truncated(self) -> bool:
        return bool(self.flags & TRUNCATED)

    @property
    def unsure(self) -> bool:
        return bool(self.flags & UNSURE)


class FilePath(Record, gc=False):
    """A successful change of names in a watched place.

    `path` is the name that came to be or went: the new name of a rename, the new link, the removed file. `source` is
    the old name of a rename, the existing file of a link, the text of a symbolic link; else "". Both are built from
    the folder (resolved) and the text that the program gave: symbolic links inside that text are not resolved.
    `unsure`: the text holds ".." behind a name, or is too long, so it may lie outside of the watched places; see
    `WatchList.matches`.
    """

    kind: ClassVar[str] = "path"

    ids: Ids = NO_IDS
    operation: Operation = "rename"
    path: str = ""
    source: str = ""
    comm: str = ""

    @property
    def unsure(self) -> bool:
        return bool(self.flags & UNSURE)


class Module(Record, gc=False):
    """A kernel module was loaded. `taints` is the bit mask of `/proc/sys/kernel/tainted` that it brings."""

    kind: ClassVar[str] = "module"

    ids: Ids = NO_IDS
    name: str = ""
    version: str = ""
    source_version: str = ""
    taints: int = 0
    comm: str = ""


class BpfLoad(Record, gc=False):
    """A BPF program was loaded. `program_type` and `attach_type` are the kernel's numbers (uapi/linux/bpf.h)."""

    kind: ClassVar[str] = "bpf"

    ids: Ids = NO_IDS
    name: str = ""
    program_type: int = 0
    attach_type: int = 0
    instructions: int = 0
    comm: str = ""


class IdsChange(Record, gc=False):
    """A process changed its user, group or session by a system call; `ids` is what holds from then on.

    `change` says by which kind of call; the values may be the old ones (a call that changed nothing)."""

    kind: ClassVar[str] = "ids"

    ids: Ids = NO_IDS
    change: IdChange = "uid"
    comm: str = ""


RECORD_TYPES: Final[tuple[type[Record], ...]] = (
    Fork,
    Exec,
    Exit,
    Cgroup,
    Connect,
    Connected,
    Accept,
    Close,
    Datagram,
    FileOpen,
    FilePath,
    Module,
    BpfLoad,
    IdsChange,
)
KINDS: Final[tuple[str, ...]] = tuple(cls.kind for cls in RECORD_TYPES)
