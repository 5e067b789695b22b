"""A process of this host, as the sensor knows it."""

from __future__ import annotations

from typing import Final

from maxspan.sensor.program import Program
from maxspan.sensor.records import NO_IDS, Ids

NO_RELATIONS: Final = b""
_ALL: Final = (
    b',"parent":{%b},"session_leader":{%b,"same_as_process":%b},"group_leader":{%b,"same_as_process":%b}'
    b',"entry_leader":{%b,"same_as_process":%b}'
)


class Process:
    """One entity, from fork to end, whatever it executes meanwhile.

    `ticks` is the start in ticks of `/proc/PID/stat` (0 where nobody knows it). Parts of JSON that are made once:
    `head` (the members `pid`, `entity_id`, `start`), `who` (user, group, terminal), `account` (`who` at the top level).

    `parent` is the one that forked it. `session`, `group` and `entry` are leaders, possibly the process itself. At its
    end a process lets go of all of them and keeps what events say of them in `relations`: so no chain of ended
    processes holds memory, however long it grows.
    """

    __slots__ = (
        "_as_leader",
        "_as_parent",
        "_of_children",
        "account",
        "cgroup",
        "comm",
        "container",
        "ended",
        "entity",
        "entry",
        "entry_type",
        "group",
        "hash",
        "head",
        "ids",
        "image",
        "own",
        "parent",
        "pid",
        "program",
        "relations",
        "session",
        "ticks",
        "who",
    )

    def __init__(self, pid: int, ticks: int, entity: bytes, head: bytes, program: Program) -> None:
        self.pid = pid
        self.ticks = ticks
        self.entity = entity
        self.head = head
        self.program = program
        self.ids: Ids = NO_IDS
        self.who = b""
        self.account = b""
        self.comm = program.name
        self.parent: Process | None = None
        self.session: Process | None = None
        self.group: Process | None = None
        self.entry: Process | None = None
        self.entry_type = ""
        self.cgroup = 0
        self.container = b""
        self.image: tuple[int, ...] = ()
        self.hash = b""
        self.own = False
        self.ended = False
        self.relations = NO_RELATIONS
        self._as_parent = b""
        self._as_leader = b""
        #: What children say of the four above them, and the parts that it was made of: they hold while those do.
        self._of_children: tuple[bytes, bytes, bytes, bytes, bytes] | None = None

    def changed(self) -> None:
        """Forget the parts that others show of this process: its program or its user is another one now."""
        self._as_parent = self._as_leader = b""

    def as_parent(self) -> bytes:
        """Give the members of `process.parent` of its children."""
        part = self._as_parent
        if not part:
            program = self.program
            part = self._as_parent = b"%b,%b,%b,%b" % (self.head, program.main, program.rest, self.who)
        return part

    def as_leader(self) -> bytes:
        """Give the members of a leader; whether it is the process itself is for the caller to add."""
        part = self._as_leader
        if not part:
            interactive = b"true" if self.ids.tty else b"false"
            part = self._as_leader = b'%b,%b,"interactive":%b' % (self.head, self.program.leader, interactive)
            if self.entry_type:
                self._as_leader += b',"entry_meta":{"type":"%b"}' % self.entry_type.encode()
                part = self._as_leader
        return part

    def relations_part(self) -> bytes:
        """Give `,"parent":{...},"session_leader":{...},...`; what is not known is left out."""
        if self.ended:
            return self.relations
        parent, session, group, entry = self.parent, self.session, self.group, self.entry
        if parent is not None and session is not None and group is not None and entry is not None:
            above = parent._as_parent or parent.as_parent()  # by far the most; the loop below says the same
            first = session._as_leader or session.as_leader()
            second = group._as_leader or group.as_leader()
            third = entry._as_leader or entry.as_leader()
            own = session is self or group is self or entry is self
            if not own and (known := parent._of_children) is not None:  # siblings mostly have the same: it is made once
                if known[0] is above and known[1] is first and known[2] is second and known[3] is third:
                    return known[4]
            part = _ALL % (
                above,
                first,
                b"true" if session is self else b"false",
                second,
                b"true" if group is self else b"false",
                third,
                b"true" if entry is self else b"false",
            )
            if not own:
                parent._of_children = (above, first, second, third, part)
            return part
        out = b',"parent":{%b}' % parent.as_parent() if parent is not None else b""
        for name, leader in ((b"session", session), (b"group", group), (b"entry", entry)):
            if leader is not None:
                same = b"true" if leader is self else b"false"
                out += b',"%b_leader":{%b,"same_as_process":%b}' % (name, leader.as_leader(), same)
        return out

    def end(self) -> None:
        """Let go of the others; late events of this process say what it knew of them."""
        if not self.ended:
            self.relations = self.relations_part()
            self.ended = True
            self.parent = self.session = self.group = self.entry = None

    @property
    def ancestor_entity(self) -> bytes:
        """Give the entity id of the parent; empty when it is not known or gone."""
        return self.parent.entity if self.parent is not None else b""
