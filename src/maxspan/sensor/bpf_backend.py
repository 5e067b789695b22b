"""The BPF backend: what `bpf/sensor.bpf.o` sees in the kernel, as records."""

from __future__ import annotations

import ctypes
import mmap
import os
import secrets
import select
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import resources
from typing import Final

from maxspan.errors import SensorError
from maxspan.sensor import layout, probes
from maxspan.sensor.backend import KindCounters
from maxspan.sensor.capabilities import require_host
from maxspan.sensor.clock import BootClock
from maxspan.sensor.decode import Decoder
from maxspan.sensor.libbpf import BpfObject, load_library
from maxspan.sensor.records import Record
from maxspan.sensor.ring import RingBuffer
from maxspan.sensor.tracepoints import Tracepoints
from maxspan.sensor.watchlist import WatchList

RING_BYTES: Final = 8 * 1024 * 1024
# Records a call of `poll`: enough to make the call itself cheap, few enough to stay responsive.
BATCH: Final = 4096
# The first record in a while, and one of a program that was never seen (it may be gone soon), wait this long for more.
HURRY_S: Final = 0.02
# While records go on to come, each look at the ring is twice as far from the one before, up to this: a look costs as
# much as dozens of records, since everything has left the processor's caches meanwhile.
PACE_S: Final = 0.25
# More records a look than this make it no cheaper, and take memory.
PLENTY: Final = 256
# Without a record for so long, looks begin to be close again.
QUIET_S: Final = 1.0
# The kernel wakes the reader each time that this part of the ring has filled up.
WAKES: Final = 8
# Readings of the counters until they balance; a probe that runs meanwhile makes them differ for microseconds.
READINGS: Final = 20
# In the BTF of kernels (6.2 and newer) that let programs read them by plain loads; see READ in bpf/kernel.h.
PLAIN_LOADS: Final = b"\0bpf_rdonly_cast\0"
# Counts what a probe could not look at: the kernel skips one that interrupts a probe on the same CPU.
SKIPPED: Final = "skipped"


class BpfBackend:
    """Watches through BPF. See `Backend` for the methods.

    `watched`: paths whose files are reported (see `WatchList`; without any, there are no `open` and `path` records).
    `environment`: names of the variables that `Exec` carries. `ring_bytes`: size of the ring buffer, a power of two.
    `hurry`: programs that were not told by `know` are handed out without waiting for more.

    Numbers of processes and users are those of the host; so is the own pid, by which records are marked as `own`: a
    container needs the host's pid namespace for that.

    `counters` has one kind more than `records.KINDS`: "skipped" counts runs of probes that the kernel left out (all
    of them lost), because it does not nest probes on a CPU. What they would have shown is not known.
    """

    name: str = "bpf"

    def __init__(
        self,
        *,
        watched: Iterable[str] = (),
        environment: Iterable[str] = (),
        ring_bytes: int = RING_BYTES,
        hurry: bool = False,
    ) -> None:
        if ring_bytes < mmap.PAGESIZE or ring_bytes & (ring_bytes - 1):
            raise SensorError(f"the ring buffer must be a power of two of at least {mmap.PAGESIZE} bytes")
        self.watch_list = WatchList(watched)
        self._environment = frozenset(environment)
        self._ring_bytes = ring_bytes
        self._hurry = hurry
        self._missing: dict[str, str] = {}
        self._object: BpfObject | None = None
        self._ring: RingBuffer | None = None
        self._counters: mmap.mmap | None = None
        self._reader: mmap.mmap | None = None
        self._epoll: select.epoll | None = None
        self._cpus = 0
        self._drained = self._came = 0.0
        self._pace = HURRY_S
        self.clock = BootClock()
        self._decoder = Decoder(offset_ns=self.clock.offset_ns, environment=self._environment)

    @property
    def pace_s(self) -> float:
        return self._pace

    @property
    def missing_fields(self) -> Mapping[str, str]:
        return self._missing

    def start(self) -> None:
        if self._object:
            raise SensorError("the BPF backend was started already")
        btf = require_host()
        library = load_library()
        data = (resources.files("maxspan.sensor") / "bpf" / "sensor.bpf.o").read_bytes()
        self._cpus = min(library.libbpf_num_possible_cpus(), layout.MAX_CPUS)
        try:
            self._load(library, data, btf)
        except OSError as error:
            self.close()
            raise SensorError(f"the BPF backend cannot start: {error}") from error
        except SensorError:
            self.close()
            raise

    def _load(self, library: ctypes.CDLL, data: bytes, btf: bytes) -> None:
        """Load and attach; then make the ring readable."""
        left_out = self._left_out(btf)
        if PLAIN_LOADS in btf:
            try:
                self._into_kernel(library, data, left_out, plain_loads=True)
            except SensorError:  # a kernel that takes them in other programs only
                self.close()
        if self._object is None:
            self._into_kernel(library, data, left_out, plain_loads=False)
        assert self._object is not None
        loaded, entries = self._object, self.watch_list.entries()
        loaded.update("watched", {key: value.to_bytes(4, "little") for key, value in entries})
        size = layout.MAX_CPUS * layout.KIND_SLOTS * layout.COUNTERS.size
        self._counters = mmap.mmap(loaded.map_fd(".bss"), size, prot=mmap.PROT_READ)
        self._ring = RingBuffer(loaded.map_fd("events"), self._ring_bytes)
        self._epoll = select.epoll()
        # Each wake-up counts once; else all that waits would end every sleep.
        self._epoll.register(loaded.map_fd("events"), select.EPOLLIN | select.EPOLLET)
        self._reader = mmap.mmap(loaded.map_fd(".data.reader"), mmap.PAGESIZE)
        self._attach(loaded, left_out)

    def _into_kernel(self, library: ctypes.CDLL, data: bytes, left_out: set[str], *, plain_loads: bool) -> None:
        """Let the kernel verify the programs, which may read it by plain loads or through a helper."""
        loaded = self._object = BpfObject(library, data)
        loaded.set_max_entries("events", self._ring_bytes)
        loaded.set_max_entries("slots", self._cpus * layout.BUFFERS_PER_CPU)
        loaded.set_max_entries("watched", max(1, len(self.watch_list.entries())))
        wake_bytes = self._ring_bytes // WAKES
        settings = (bool(self._environment), secrets.randbits(64), wake_bytes, self._hurry, plain_loads, 0)
        loaded.set_initial_value(".rodata.settings", layout.SETTINGS.struct.pack(os.getpid(), *settings))
        for program in left_out:
            loaded.leave_out(program)
        loaded.load()

    def _left_out(self, btf: bytes) -> set[str]:
        """Programs that are not loaded, here or because nobody asked for them. Notes what is missing then."""
        out = set() if self.watch_list.paths else set(probes.FILE_PROGRAMS)
        for program, (hook, kinds) in probes.TRACE_PROGRAMS.items():
            if b"\0btf_trace_" + hook.encode() + b"\0" in btf:
                continue
            reason = probes.OPTIONAL_HOOKS.get(hook)
            if reason is None:
                raise SensorError(f"this kernel has no hook {hook}, which the sensor needs; use --backend audit")
            out.add(program)
            self._missing.update(dict.fromkeys(kinds, reason))
        return out

    def _attach(self, loaded: BpfObject, left_out: set[str]) -> None:
        """Attach system calls first: processes are what the others belong to, and come last, all at once."""
        with Tracepoints() as tracepoints:
            for call in probes.SYSCALLS:
                if call.program in left_out:
                    continue
                event = tracepoints.open(f"sys_exit_{call.name}")
                if event is not None:
                    loaded.attach_perf_event(call.program, event, call.cookie)
                elif not call.optional:
                    kind = probes.SYSCALL_KINDS[call.program]
                    self._missing[f"{kind}:{call.name}"] = f"this kernel has no tracepoint for {call.name}"
        for program in probes.TRACE_PROGRAMS:
            if program not in left_out:
                loaded.attach_trace(program)
        self._missing.update(
            {key: reason for key, reason in probes.gaps().items() if key.partition(":")[0] not in self._unasked()}
        )

    def _unasked(self) -> tuple[str, ...]:
        """Kinds that nobody asked for."""
        return () if self.watch_list.paths else tuple(probes.SYSCALL_KINDS[name] for name in probes.FILE_PROGRAMS)

    def poll(self, timeout_ms: int) -> list[Record]:
        if self._ring is None or self._epoll is None:
            raise SensorError("the BPF backend is not started")
        end = time.monotonic() + timeout_ms / 1000
        if timeout_ms > 0:
            self._gather(self._ring, self._epoll, end)
        records = self._drain(self._ring)
        if not records and timeout_ms > 0 and self._sleep(self._ring, self._epoll, end - time.monotonic()):
            time.sleep(min(HURRY_S, max(0.0, end - time.monotonic())))
            records = self._drain(self._ring)
        if records and timeout_ms > 0:
            now = time.monotonic()
            if now >= self._came + QUIET_S:
                self._pace = HURRY_S
            elif len(records) < PLENTY:
                self._pace = min(2 * self._pace, PACE_S)
            elif len(records) > 2 * PLENTY:
                self._pace = max(self._pace / 2, HURRY_S)
            self._came = now
        return records

    def _gather(self, ring: RingBuffer, epoll: select.epoll, end: float) -> None:
        """Wait until the next look is due. A program that is new ends that, and a ring that fills up."""
        wait = min(self._drained + self._pace, end) - time.monotonic()
        if wait > 0 and ring.pending_bytes < ring.size // WAKES and epoll.poll(wait):
            time.sleep(max(0.0, min(self._drained + HURRY_S, end) - time.monotonic()))

    def _sleep(self, ring: RingBuffer, epoll: select.epoll, seconds: float) -> bool:
        """Wait for the first record. One that comes just when the kernel is told so may be seen at the end only."""
        if seconds <= 0:
            return False
        self._tell(waits=True)
        try:
            return ring.pending_bytes > 0 or bool(epoll.poll(seconds))
        finally:
            self._tell(waits=False)

    def _tell(self, *, waits: bool) -> None:
        if self._reader is not None:
            self._reader[0] = waits

    def know(self, key: tuple[int, ...]) -> None:
        """A program (see `processes.key_of`) whose events may wait for more from here on."""
        if self._object is None or not self._hurry:
            return
        device, inode, size, modified, changed = key
        modified_s, modified_ns = divmod(modified, 1_000_000_000)
        changed_s, changed_ns = divmod(changed, 1_000_000_000)
        image = layout.IMAGE.struct.pack(inode, size, modified_s, changed_s, modified_ns, changed_ns, device, 0)
        with suppress(SensorError):  # then it goes on to hurry
            self._object.update("known_programs", {image: b"\1"})

    def _drain(self, ring: RingBuffer) -> list[Record]:
        if self.clock.renew():
            self._decoder.offset_ns = self.clock.offset_ns
        records = ring.drain(self._decoder.decode, BATCH)
        if len(records) < BATCH:
            self._drained = time.monotonic()
        return records

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait in the ring buffer."""
        return self._ring.pending_bytes if self._ring else 0

    def counters(self) -> Mapping[str, KindCounters]:
        if self._counters is None or self._object is None:
            return {}
        for _ in range(READINGS):
            out = self._read_counters(self._counters)
            if all(one.seen == one.sent + one.lost for one in out.values()):
                break
            time.sleep(0.0005)
        programs = (*probes.TRACE_PROGRAMS, *probes.SYSCALL_KINDS)
        skipped = sum(self._object.skipped_runs(program) for program in programs)
        out[SKIPPED] = KindCounters(seen=skipped, lost=skipped)
        return out

    def _read_counters(self, memory: mmap.mmap) -> dict[str, KindCounters]:
        sums = {cls.kind: [0, 0, 0, 0] for cls in layout.KIND_NUMBERS}
        for cpu in range(self._cpus):
            for cls, number in layout.KIND_NUMBERS.items():
                at = (cpu * layout.KIND_SLOTS + number) * layout.COUNTERS.size
                total = sums[cls.kind]
                for place, value in enumerate(layout.COUNTERS.struct.unpack_from(memory, at)):
                    total[place] += value
        return {kind: KindCounters(*values) for kind, values in sums.items()}

    def close(self) -> None:
        if self._epoll:
            self._epoll.close()
            self._epoll = None
        if self._ring:
            self._ring.close()
            self._ring = None
        if self._counters:
            self._counters.close()
            self._counters = None
        if self._reader:
            self._reader.close()
            self._reader = None
        if self._object:
            self._object.close()
            self._object = None
