"""The table of processes: records in, entities out, in bounded memory however many processes come and go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from maxspan.sensor import procfs
from maxspan.sensor.accounts import Accounts
from maxspan.sensor.documents.timestamps import Timestamps
from maxspan.sensor.entity import TICK_NS, EntityIds
from maxspan.sensor.lineage import Containers, container_part, enter
from maxspan.sensor.process import Process
from maxspan.sensor.program import Program, program_of, unknown_program
from maxspan.sensor.records import NO_IDS, NO_IMAGE, Exec, Exit, Fork, Ids, Image, Record

#: Ended processes that are kept for what still comes: closing connections, children whose fork is late.
ENDED: Final = 4096
#: More live processes than this are looked at: some must have ended unseen.
LIVE: Final = 262_144


class TableCounters(Struct):
    """What the table did. `guessed`: processes that were met without their fork, and known by name only;
    `found`: the same, but /proc still told all about them. `missed_ends`: ends that were not seen. `evicted`: live
    ones given up for want of room."""

    forked: int = 0
    ended: int = 0
    found: int = 0
    guessed: int = 0
    missed_ends: int = 0
    evicted: int = 0


class ProcessTable:
    """Processes by pid; a record's start tells whether the one in the table is meant.

    `offset_ns` joins the boot clock to the epoch. `read` is /proc, or a stand-in for tests and replays: it gives a
    process by its pid; `present` lists the pids that are there. `own_pid` and its descendants are marked.
    """

    def __init__(
        self,
        entities: EntityIds,
        accounts: Accounts,
        *,
        offset_ns: int = 0,
        own_pid: int = 0,
        read: Callable[[int], procfs.Running | None] = procfs.read_process,
        present: Callable[[], Iterable[int]] = procfs.pids,
        ended: int = ENDED,
        live: int = LIVE,
    ) -> None:
        self._entities = entities
        self.accounts = accounts
        self.offset_ns = offset_ns
        self._own_pid = own_pid
        self._read = read
        self._present = present
        self._ended_limit = ended
        self._live_limit = live
        self._timestamps = Timestamps()
        self.containers = Containers()
        self.live: dict[int, Process] = {}
        self.ended: OrderedDict[int, Process] = OrderedDict()
        self.counters = TableCounters()

    # --- what is there -----------------------------------------------------------------------------------------------

    def find(self, pid: int, start_ns: int) -> Process | None:
        """Find a process, also one that has ended; `start_ns` of 0 takes whichever has the number."""
        ticks = start_ns // TICK_NS
        process = self.live.get(pid)
        if process is not None and (not ticks or not process.ticks or process.ticks == ticks):
            return process
        late = self.ended.get(pid)
        if late is not None and (not ticks or not late.ticks or late.ticks == ticks):
            return late
        return None

    def of(self, record: Record) -> Process:
        """Find the process of a record; one whose fork was lost is read from /proc, or made of what the record says."""
        return self.find(record.pid, record.start_ns) or self._unmet(record)

    def snapshot(self, processes: Iterable[procfs.Running]) -> list[Process]:
        """Take in processes that were there at the start, parents before children; give those that were not known."""
        return [self._running(running) for running in processes if self.find(running.pid, running.start_ns) is None]

    # --- what happens ------------------------------------------------------------------------------------------------

    def fork(self, record: Fork) -> Process:
        """Make the child; it runs what its parent runs. The fork of a process that /proc told of changes nothing."""
        known = self.live.get(record.pid)
        if known is not None and record.start_ns and known.ticks == record.start_ns // TICK_NS:
            return known
        parent = self._parent(record.parent_pid, record.parent_start_ns)
        program = parent.program if parent is not None else unknown_program(record.comm)
        process = self._new(record.pid, record.start_ns, record.ids, program, parent)
        process.comm = record.comm or process.program.name
        if parent is not None:
            process.image, process.hash = parent.image, parent.hash
        self._belong(process, record.cgroup)
        enter(process)
        self.counters.forked += 1
        return process

    def execute(self, record: Exec) -> Process:
        """Give the process its new program."""
        process = self.find(record.pid, record.start_ns)
        if process is None:
            parent = self._parent(record.parent_pid, record.parent_start_ns)
            process = self._new(record.pid, record.start_ns, record.ids, unknown_program(record.comm), parent)
            self.counters.guessed += 1
        process.program = program_of(record.executable, record.comm, record.args, record.argc, record.directory)
        process.comm = record.comm
        process.image = key_of(record.image)
        process.hash = b""
        if record.ids is not process.ids and record.ids != process.ids:
            self._identify(process, record.ids)
        self._belong(process, record.cgroup)
        process.changed()
        if not process.ended:
            enter(process)
        return process

    def exit(self, record: Exit) -> Process:
        """End a process; it is kept a while for late records."""
        process = self.of(record)
        if record.ids is not process.ids and record.ids != process.ids and record.ids != NO_IDS:
            self._identify(process, record.ids)
        if record.comm:
            process.comm = record.comm
        if not process.ended:
            self.counters.ended += 1
            self._end(process)
        return process

    def change(self, process: Process, ids: Ids) -> bool:
        """Take new ids; False when nothing that events tell is different."""
        before = process.ids
        if before == ids:
            return False
        self._identify(process, ids)
        if not process.ended and ids.session != before.session:
            enter(process)
        return True

    def sweep(self) -> int:
        """Take out live processes that are not there any more: their ends were lost. Gives their number."""
        present = set(self._present())
        gone = [process for pid, process in self.live.items() if pid not in present]
        for process in gone:
            self._end(process)
        self.counters.missed_ends += len(gone)
        return len(gone)

    # --- how ---------------------------------------------------------------------------------------------------------

    def _new(self, pid: int, start_ns: int, ids: Ids, program: Program, parent: Process | None) -> Process:
        old = self.live.get(pid)
        if old is not None:
            self._end(old)
            self.counters.missed_ends += 1
        ticks = start_ns // TICK_NS
        entity = self._entities.of(pid, ticks)
        head = b'"pid":%d,"entity_id":"%b"' % (pid, entity)
        if start_ns:
            head += b',"start":"%b"' % self._timestamps.iso(start_ns + self.offset_ns)
        process = Process(pid, ticks, entity, head, program)
        process.parent = parent
        process.own = pid == self._own_pid or (parent is not None and parent.own)
        self._identify(process, ids)
        self.live[pid] = process
        if len(self.live) > self._live_limit:
            self._make_room()
        return process

    def _parent(self, pid: int, start_ns: int) -> Process | None:
        """Find who forked; one that was never met is read from /proc if it is still the same."""
        if not pid:
            return None
        known = self.find(pid, start_ns)
        if known is not None:
            return known
        running = self._read(pid)
        if running is None or (start_ns and running.ticks != start_ns // TICK_NS):
            return None
        self.counters.found += 1
        return self._running(running)

    def _unmet(self, record: Record) -> Process:
        running = self._read(record.pid)
        if running is not None and (not record.start_ns or running.ticks == record.start_ns // TICK_NS):
            self.counters.found += 1
            return self._running(running)
        self.counters.guessed += 1
        ids: Ids = getattr(record, "ids", NO_IDS)
        comm: str = getattr(record, "comm", "")
        return self._new(record.pid, record.start_ns, ids, unknown_program(comm), None)

    def _running(self, running: procfs.Running) -> Process:
        parent = self.live.get(running.parent_pid)
        program = program_of(running.executable, running.comm, running.args, running.argc, running.directory)
        process = self._new(running.pid, running.start_ns, running.ids, program, parent)
        process.comm = running.comm
        process.image = key_of(running.image)
        process.container = container_part(running.cgroup_path)
        if not running.kernel:
            enter(process)
        return process

    def _identify(self, process: Process, ids: Ids) -> None:
        """Set credentials, session and group, with the leaders that are known."""
        before = process.ids
        process.ids = ids
        process.who = self.accounts.process_part(ids)
        process.account = self.accounts.top_part(ids)
        process.changed()
        if process.ended:
            return
        parent = process.parent
        if ids.session != before.session or process.session is None:
            process.session = self._leader(process, ids.session, parent.session if parent is not None else None)
        if ids.group != before.group or process.group is None:
            process.group = self._leader(process, ids.group, parent.group if parent is not None else None)

    def _leader(self, process: Process, pid: int, inherited: Process | None) -> Process | None:
        """Find a leader: the process itself, the parent's leader (also one that has ended), or any by number.

        A number of 0 is one that nobody knows: a leader is inherited then."""
        if not pid or (inherited is not None and inherited.pid == pid):
            return inherited
        if pid == process.pid:
            return process
        return self.live.get(pid) or self.ended.get(pid)

    def _belong(self, process: Process, cgroup: int) -> None:
        """Set the container by the control group; a group without a name leaves the parent's."""
        parent = process.parent
        part = self.containers.part(cgroup) if cgroup else None
        if part is not None:
            process.container = part
        elif parent is not None and not process.container:
            process.container = parent.container
        if cgroup:
            process.cgroup = cgroup

    def _end(self, process: Process) -> None:
        process.end()
        if self.live.get(process.pid) is process:
            del self.live[process.pid]
        self.ended.pop(process.pid, None)
        self.ended[process.pid] = process
        if len(self.ended) > self._ended_limit:
            self.ended.popitem(last=False)

    def _make_room(self) -> None:
        self.sweep()
        while len(self.live) > self._live_limit:
            self._end(next(iter(self.live.values())))
            self.counters.evicted += 1


def key_of(image: Image) -> tuple[int, ...]:
    """Give the key of a file's content; empty where the file is not known."""
    if image is NO_IMAGE or not image.inode:
        return ()
    return (image.device, image.inode, image.size, image.modified_ns, image.changed_ns)
