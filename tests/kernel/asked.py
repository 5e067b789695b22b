"""A scanner whose answers a test gives, and what it passes over."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from maxspan.engine.kernel import native

ALL = b"\xff" * 8
Texts = tuple[int, tuple[int, ...], tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]
#: the latest time there is
FAR = 2**63 - 1
#: the program of a mask that has the first stage, and nothing else
LATER = ((0,), (), (), ())


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
