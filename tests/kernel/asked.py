"""A scanner whose answers a test gives, and what it passes over."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from maxspan.engine.kernel import native

ALL = b"\xff" * 8
Texts = tuple[int, tuple[int, ...], tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]
#: the latest time there is
FAR = 2**63 - 1
#: the program of a mask that has the first stage, and nothing else
LATER = ((0,), (), (), ())


EARLIEST = -(2**63)
SECOND = 10**9
#: 2024-05-01T10:00:00Z
BEGIN = 1_714_557_600 * SECOND
#: the value of `v` is the mask: an event that begins a sequence, continues one, is of a sample, is looked at
OPENS, CONTINUES, SAMPLES, OTHER = 1, 2, 4, 8
FIELDS = ("h", "k", "l", "n", "t", "v")
HOST, KEY, SECOND_KEY, TIE, TIME, VALUE = range(6)


def mask(number: int) -> bytes:
    return number.to_bytes(8, "little")


def number_of(mask_: bytes) -> int:
    return int.from_bytes(mask_, "little")


def decoded(text: bytes) -> Any:
    return json.loads(text)


class Asked:
    """A scanner of the field `v` behind the gate `g`, with one table of `v`; counts what it asks."""

    def __init__(self, texts: Texts | None = None, *, module: Any = None) -> None:
        self.values: list[bytes | None] = []
        self.atoms: list[int] = []
        self.roots = 0
        self.answer: Callable[[Any], int] = lambda value: 1
        self.root: Callable[[Any], int] = lambda row: 0
        self.number: Callable[[bytes], int] = number_of
        module = module or native.scan
        answers = self._root, lambda row: 1, self._value, self._held, lambda mask_: self.number(mask_), decoded
        self.scanner = module.Scanner(("g", "v"), (0,), ((1, ALL, texts),), 1, *answers)
        self.scanner.add_plan(ALL, (0,))

    def _root(self, row: Any) -> int:
        self.roots += 1
        return self.root(row)

    def _value(self, column: int, text: bytes | None) -> bytes:
        assert column == 0
        self.values.append(text)
        return mask(self.answer(None if text is None else decoded(text)))

    def _held(self, column: int, atoms: bytes) -> bytes:
        assert column == 0
        self.atoms.append(number_of(atoms))
        return mask(self.atoms[-1])

    def masks(self, *events: Any) -> list[int | None]:
        """Give the mask of each event, 0 for those that are passed over."""
        data = b"\n".join(event if type(event) is bytes else json.dumps(event).encode() for event in events)
        out: list[int | None] = [0] * len(events)
        for row in self.scanner.scan(data):
            out[row.number] = row.mask
        return out


def skip_of(
    lane_of: Callable[[bytes | None], Any],
    program: Callable[[int], Any] = lambda mask_: LATER,
    *,
    every: Any = None,
    keys: Any = None,
    across: bool = False,
    module: Any = None,
) -> Any:
    """Make what passes over events of `Asked`, whose `g` is a time and `v` a host; its one stage has all pieces."""
    module = module or native.scan
    skip = module.Skip(2, 0, 1, 1, lane_of, program, every or module.Lane(1), True)
    skip.add_stage(ALL, keys or module.Keys(1, 1), across, False, (), ())
    return skip


def module() -> Any:
    assert native.scan is not None
    return native.scan


def program(mask_: int) -> Any:
    opens = (0,) if mask_ & OPENS and not mask_ & CONTINUES else ()
    samples = (0,) if mask_ & SAMPLES else ()
    return (0,) if mask_ & CONTINUES else (), opens, samples, (5,) * len(samples)


class Waiting:
    """A scanner with one sequence by `k`, or other fields, and one sample."""

    def __init__(
        self,
        by: Sequence[int] = (KEY,),
        *,
        required: Sequence[int] | None = None,
        maxspan_ns: int = 10 * SECOND,
        across: bool = False,
        keys: Any = None,
    ) -> None:
        self.lanes: dict[bytes | None, Any] = {}
        self.lane_of: Callable[[bytes | None], Any] = lambda host: self.lanes.setdefault(host, module().Lane(1))
        self.program: Callable[[int], Any] = program
        self.number: Callable[[bytes], int] = number_of
        answers = (
            *(lambda row: 0, lambda row: 0, lambda n, text: mask(decoded(text or b"0")), lambda n, atoms: mask(0)),
            *(lambda mask_: self.number(mask_), decoded),
        )
        self.scanner = module().Scanner(FIELDS, (), ((VALUE, ALL, None),), 1, *answers)
        self.scanner.add_plan(ALL, (0,))
        self.every = module().Lane(1)
        self.keys = keys or module().Keys(100, 1000)
        self.by, self.flags = tuple(by), tuple(required if required is not None else (1,) * len(by))
        self.maxspan_ns, self.across = maxspan_ns, across
        self.skip = self.new_skip()

    def new_skip(self) -> Any:
        skip = module().Skip(
            *(len(FIELDS), TIME, HOST, TIE),
            *(lambda host: self.lane_of(host), lambda mask_: self.program(mask_), self.every, True),
        )
        skip.add_stage(mask(CONTINUES), self.keys, self.across, True, self.by, self.flags)
        skip.add_opener(mask(OPENS), self.across, self.by, self.flags, (0,), self.maxspan_ns)
        skip.add_sample(mask(SAMPLES))
        return skip

    def read(self, *lines: bytes, path: Any = "p", first: int = 1, position: int = 0) -> list[tuple[int, int]]:
        """Give the number and the mask of each event that does not wait."""
        scan = self.scanner.scan(b"\n".join(lines), self.skip, path, first, position)
        return [(row.number, row.mask) for row in scan]

    def lane(self, host: str | None = "x") -> Any:
        return self.lanes[None if host is None else b'"%s"' % host.encode()]

    def parked(self, texts: tuple[str, ...] | None, host: str | None = "x") -> list[tuple[int, int]]:
        """Take events that wait: their numbers and positions."""
        return [(event[2], event[3]) for event in self.lane(host).parked(0, texts)]


def event(v: int, at: float = 0, k: bytes = b'"a"', h: bytes = b'"x"', **more: bytes) -> bytes:
    seconds = divmod(round(at * 1000), 1000)
    time = b"2024-05-01T10:%02d:%02d.%03dZ" % (*divmod(seconds[0], 60), seconds[1])
    parts = {"t": b'"%s"' % time, "h": h, "k": k, "v": b"%d" % v, **more}
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in parts.items() if value) + b"}"


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
