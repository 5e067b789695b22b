"""In which order to ask the fields: what most events lose most by comes first, seen on events themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from maxspan.engine.kernel.decoding import Getter
from maxspan.engine.kernel.tables import FieldTable

#: so many events decide the order of fields
_SAMPLES: Final = 48
#: what a value costs that was not seen before, against one that was
NEW_VALUE: Final = 12.0
#: Fields of few values are asked together: at most so many, which come to at most so many combinations,
_MOST_TOGETHER: Final = 8
_MOST_COMBINATIONS: Final = 24
#: if at least this share of the events that the first of them is asked of comes to the next one.
_SHARE: Final = 0.7


class FirstEvents:
    """The first events behind the gates: they go through all fields, and decide in which order later ones do.

    `order` are the keys of the tables that may rule out something, in one tuple what is asked at once; `shares` says
    after `settle` how many values of a field are new, from 0 to 1.
    """

    def __init__(self, mask: int, tables: Mapping[str, FieldTable], read: Callable[[str], Getter]) -> None:
        self._mask = mask
        self._tables = tables
        self._read = read
        self._events: list[Any] = []
        keys = sorted(tables, key=lambda key: -(tables[key].constrained & mask).bit_count())
        self.order: list[tuple[str, ...]] = [(key,) for key in keys]
        self.shares: dict[str, float] = {}

    @property
    def full(self) -> bool:
        """Whether enough events have come."""
        return len(self._events) >= _SAMPLES

    def take(self, event: Any) -> int:
        """Keep an event, and give the pieces that it fulfils."""
        self._events.append(event)
        mask = self._mask
        for (key,) in self.order:
            table = self._tables[key]
            if mask & table.constrained:
                mask &= table.masks[table[self._read(table.name)(event)]]
        return mask

    def settle(self, new_value: float = NEW_VALUE) -> list[tuple[str, ...]]:
        """Decide the order, and let the events go; see `best_order`."""
        self.order = best_order(self._mask, self._tables, self._read, self._events, new_value)
        names = {table.name for table in self._tables.values()}
        self.shares = {name: share_of_new(map(self._read(name), self._events)) for name in names}
        self._events = []
        return self.order


def best_order(
    mask: int,
    tables: Mapping[str, FieldTable],
    read: Callable[[str], Getter],
    events: Sequence[Any],
    new_value: float = NEW_VALUE,
) -> list[tuple[str, ...]]:
    """Give the keys of the tables that constrain pieces of `mask`, each chosen as best after those before it.

    `read` gives what reads a field of an event. A field is better the greater the share of what is left that it rules
    out, and the fewer of its values are new: one of them costs `new_value` times what others do. What is best asked at
    once is in one tuple.
    """
    left = {key: table.constrained for key, table in tables.items() if table.constrained & mask}
    values = {key: list(map(read(tables[key].name), events)) for key in left}
    prices = {key: 1.0 + new_value * share_of_new(values[key]) for key in left}
    masks = [mask] * len(events)
    reached: dict[str, int] = {}
    known: dict[tuple[str, int], int] = {}
    while left:
        best, most = "", 0.0
        alive = [number for number, one in enumerate(masks) if one]
        for key, constrained in left.items():
            table, own = tables[key], values[key]
            gain = 0.0
            for number in alive:
                before = masks[number]
                if before & constrained:
                    told = known.get((key, number))
                    if told is None:
                        told = known[key, number] = ~table.masks[table[own[number]]]
                    lost = before & told
                    if lost:
                        gain += lost.bit_count() / before.bit_count()
            gain /= prices[key]
            if gain > most:
                best, most = key, gain
        if not best:
            break
        reached[best] = sum(1 for number in alive if masks[number] & left[best])
        del left[best]
        for number in alive:
            told = known.get((best, number))
            if told is not None:
                masks[number] &= ~told
    for key in sorted(left, key=lambda key: (prices[key], -left[key].bit_count())):
        reached[key] = sum(1 for one in masks if one & left[key])
    return _together(reached, values)


def _together(reached: Mapping[str, int], values: Mapping[str, Sequence[Any]]) -> list[tuple[str, ...]]:
    few = {key: len(set(own)) for key, own in values.items() if all(_is_word(value) for value in own)}
    left = list(reached)
    out: list[tuple[str, ...]] = []
    while left:
        first = left.pop(0)
        chosen, combinations = [first], few.get(first, _MOST_COMBINATIONS)
        for key in list(left):
            more = combinations * few.get(key, _MOST_COMBINATIONS + 1)
            if more <= _MOST_COMBINATIONS and reached[key] >= _SHARE * reached[first] and len(chosen) < _MOST_TOGETHER:
                combinations = more
                chosen.append(key)
                left.remove(key)
        out.append(tuple(chosen))
    return out


def _is_word(value: Any) -> bool:
    return value is None or type(value) is str


def share_of_new(values: Iterable[Any]) -> float:
    """Give how many of the values that are there have not been seen before them, from 0 to 1."""
    kept = [value for value in values if value is not None]
    return len(set(kept)) / len(kept) if kept else 0.0
