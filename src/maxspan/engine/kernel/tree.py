"""From an event to the stages that it fulfils: one look-up a field, the field that rules out most first.

The way is a tree that grows as events come: at each place stands, for each value of one field, the place to go to next.
The first step asks several fields at once, of which few combinations occur; behind each the fields have an order that
the first events there decide. Each place is a small function, made from a text for its field, so that going down the
tree is nothing but reading members and looking up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from maxspan.engine.kernel.decoding import FieldDecoder
from maxspan.engine.kernel.gates import Gates
from maxspan.engine.kernel.order import FirstEvents
from maxspan.engine.kernel.tables import FieldTable

#: The tree is forgotten when it has this many places, or the first step so many combinations.
MOST_PLACES: Final = 20_000
#: What is behind the first step is forgotten when it leads to so many beginnings.
MOST_BEGINNINGS: Final = 1_000
#: Answers are forgotten when there are this many, or this many characters in their values.
MOST_ANSWERS: Final = 100_000
MOST_CHARACTERS: Final = 8_000_000
#: values of the first step with more characters are looked at each time: there is no bound to what they come to
_LONGEST: Final = 1_000
#: Tables are forgotten when they know this many classes of values.
MOST_CLASSES: Final = 20_000
#: Where more than this share of values is new, answers are remembered by the class of the value alone.
_MANY: Final = 0.25
#: so many events decide whether one gate is asked before the others: if it alone rules out this share of them
_WATCHED: Final = 1_000
_SHUT: Final = 0.25

#: takes a decoded event and gives the pieces that it fulfils
Step = Callable[[Any], int]
_Steps = Callable[[Iterable[Any]], list[int]]


class Tree:
    """Finds the masks of pieces that events fulfil, 0 for none: `masks(events)` for decoded ones."""

    def __init__(self, tables: Mapping[str, FieldTable], decoder: FieldDecoder, gates: Gates, every: int) -> None:
        self.tables = tables
        self.decoder = decoder
        self._every = every
        self._gates = gates
        self._later = gates.later
        self._beginnings: dict[int, Beginning] = {}
        self._roots = _Roots(self._root)
        self._places = 0
        self._answers: list[Answers] = []
        self._remembered = self._characters = 0
        self._paths = tuple(decoder.path(name) for name in gates.fields)
        self.mask: Step = _first_step(self._paths)(self._roots)
        self._all_gates = _first_steps(self._paths, "")(self._roots, {})
        self._watched = 0
        self._shut = dict.fromkeys((name for name in gates.names if decoder.path(name)), 0)
        self.masks: Callable[[Sequence[Any]], list[int]] = self._watch

    def _watch(self, events: Sequence[Any]) -> list[int]:
        """Find masks, and whether one gate alone rules out so much that it is best asked before the others."""
        for name in self._shut:
            gate, read = _Gate(self.tables[name], self._every), self.decoder.getter(name)
            self._shut[name] += sum(not gate[read(event)] for event in events)
        self._watched += len(events)
        if self._watched >= _WATCHED:
            name, shut = max(self._shut.items(), key=lambda item: item[1], default=("", 0))
            self.masks = self._all_gates
            if shut > _SHUT * self._watched:
                gate = _Gate(self.tables[name], self._every)
                self.masks = _first_steps(self._paths, self.decoder.path(name))(self._roots, gate)
        return self._all_gates(events)

    def _root(self, key: tuple[Any, ...]) -> Step:
        mask = self._gates.mask_of(key)
        return self._beginning(mask).step if mask else nothing

    def _beginning(self, mask: int) -> Beginning:
        known = self._beginnings.get(mask)
        if known is None:
            if len(self._beginnings) >= MOST_BEGINNINGS:
                self._roots.clear()
                self._beginnings.clear()
            known = self._beginnings[mask] = Beginning(self, mask, self._later)
        return known

    def mask_of_fields(self, fields: Mapping[str, Sequence[Any]], index: str = "") -> int:
        """Give the same for a flattened event; `index` is that of the document around it."""
        mask = self._gates.mask(fields, index)
        if mask:
            for table in self._beginning(mask).in_order():
                if mask & table.constrained:
                    mask &= table.mask(fields.get(table.name, ()))
                    if not mask:
                        break
        return mask

    # --- bounds ------------------------------------------------------------------------------------------------------

    def settled(self) -> None:
        """Let ways through a beginning lead past the gathering of events."""
        self._roots.clear()

    def grown(self, place: Answers | Classes, tables: Iterable[FieldTable]) -> None:
        """Note a new place; when there are too many, or a table knows too many classes, all is forgotten."""
        self._places += 1
        if isinstance(place, Answers):
            self._answers.append(place)
        if self._places > MOST_PLACES or any(len(table.masks) > MOST_CLASSES for table in tables):
            self._forget()

    def between_events(self) -> None:
        """Forget all when a table knows too many classes: new ones need not make new places."""
        if any(len(table.masks) > MOST_CLASSES for table in self.tables.values()):
            self._forget()

    def _forget(self) -> None:
        for table in self.tables.values():
            table.forget()
        self._places = 0
        self._answers = []
        self._roots.clear()
        for beginning in self._beginnings.values():
            beginning.forget()

    def remembers(self, value: Any) -> None:
        """Note an answer that is remembered."""
        self._remembered += 1
        self._characters += _characters(value)
        if self._remembered > MOST_ANSWERS or self._characters > MOST_CHARACTERS:
            self._remembered = self._characters = 0
            for answers in self._answers:
                answers.clear()
                answers.numbers.clear()


def nothing(event: Any) -> int:
    """The end of all ways that lead to nothing."""
    return 0


class Beginning:
    """What is behind the first step for one mask: the order of fields, and the places by what is left and where.

    The first events are gathered, and go through all fields; then they decide the order.
    """

    def __init__(self, tree: Tree, mask: int, tables: Mapping[str, FieldTable]) -> None:
        self._tree = tree
        self._mask = mask
        self._tables = {key: table for key, table in tables.items() if table.constrained & mask}
        self._first = FirstEvents(mask, self._tables, tree.decoder.getter)
        self._asked: list[tuple[int, list[FieldTable]]] = []
        self._many: set[str] = set()
        self._places: dict[tuple[int, int], Step] = {}
        self.step: Step = self._gather if self._tables else _given(mask)

    def in_order(self) -> Iterator[FieldTable]:
        """Give the tables that may rule out something."""
        return (self._tables[key] for keys in self._first.order for key in keys)

    def _gather(self, event: Any) -> int:
        if self._first.full:
            self._settle()
            return self.step(event)
        return self._first.take(event)

    def _settle(self) -> None:
        first = self._first
        order = first.settle()
        self._many = {table.name for table in self.in_order() if first.shares[table.name] > _MANY}
        for keys in order:
            tables = [self._tables[key] for key in keys]
            constrained = 0
            for table in tables:
                constrained |= table.constrained
            self._asked.append((constrained, tables))
        self.step = self.place(self._mask, 0)
        self._tree.settled()

    def forget(self) -> None:
        """Forget all places; the next event makes the first of them anew, as making places may forget them all."""
        self._places.clear()
        if self._asked:
            self.step = self._anew

    def _anew(self, event: Any) -> int:
        self.step = self.place(self._mask, 0)
        self._tree.settled()
        return self.step(event)

    def place(self, mask: int, number: int) -> Step:
        """Give how to go on with what is left, from a number in the order of fields on."""
        if not mask:
            return nothing
        asked = self._asked
        while number < len(asked) and not mask & asked[number][0]:
            number += 1
        known = self._places.get((mask, number))
        if known is None:
            if number == len(asked):
                known = _given(mask)
            else:
                known = self._step(mask, number)
            self._places[mask, number] = known
        return known

    def _step(self, mask: int, number: int) -> Step:
        tables = [table for table in self._asked[number][1] if table.constrained & mask]
        paths = tuple(self._tree.decoder.path(table.name) for table in tables)
        if len(tables) == 1 and tables[0].name in self._many and paths[0]:
            classes = Classes(self, mask, number, tables[0])
            self._tree.grown(classes, tables)
            return _class_step(paths[0])(tables[0], classes)
        answers = Answers(self, mask, number, tables)
        self._tree.grown(answers, tables)
        return _later_step(paths)(answers)

    def remembers(self, value: Any) -> None:
        self._tree.remembers(value)


class Classes(dict[int, Step]):
    """One place in the tree: how to go on, by the class of the value of its field; made when it is first asked."""

    __slots__ = ("_beginning", "_mask", "_number", "_table")

    def __init__(self, beginning: Beginning, mask: int, number: int, table: FieldTable) -> None:
        super().__init__()
        self._beginning = beginning
        self._mask = mask
        self._number = number
        self._table = table

    def __missing__(self, kind: int) -> Step:
        step = self[kind] = self._beginning.place(self._mask & self._table.masks[kind], self._number + 1)
        return step


class Answers(dict[Any, Step]):
    """One place in the tree: how to go on, by the value of its field, or of several; made when it is first asked."""

    __slots__ = ("_beginning", "_by_mask", "_mask", "_number", "_tables", "numbers")

    def __init__(self, beginning: Beginning, mask: int, number: int, tables: list[FieldTable]) -> None:
        super().__init__()
        self._beginning = beginning
        self._mask = mask
        self._number = number
        self._tables = tables
        self._by_mask: dict[int, Step] = {}
        #: 1, 1.0 and true are three values, and would be one key
        self.numbers: dict[tuple[type, Any], Step] = {}

    def __missing__(self, value: Any) -> Step:
        if len(self._tables) > 1:
            return self._of_several(value)
        table = self._tables[0]
        kind = type(value)
        if kind is int or kind is float or kind is bool:
            known = self.numbers.get((kind, value))
            if known is None:
                known = self.numbers[kind, value] = self._step(table.masks[table[value]])
                self._beginning.remembers(None)
            return known
        step = self._step(table.masks[table[value]])
        if kind is not tuple or _are_texts(value):
            self._beginning.remembers(value)
            self[value] = step
        return step

    def _of_several(self, values: tuple[Any, ...]) -> Step:
        mask = -1
        for table, value in zip(self._tables, values, strict=True):
            mask &= table.masks[table[value]]
        step = self._step(mask)
        if all(value is None or _is_text(value) for value in values):
            self._beginning.remembers(values)
            self[values] = step
        return step

    def _step(self, left: int) -> Step:
        mask = self._mask & left
        step = self._by_mask.get(mask)
        if step is None:
            step = self._by_mask[mask] = self._beginning.place(mask, self._number + 1)
        return step


class _Gate(dict[Any, bool]):
    """Whether a value of one field leaves anything possible; texts are remembered, up to a bound."""

    __slots__ = ("_every", "_table")

    def __init__(self, table: FieldTable, every: int) -> None:
        super().__init__()
        self._table = table
        self._every = every

    def __missing__(self, value: Any) -> bool:
        is_open = self._table.masks[self._table[value]] & self._every != 0
        if (value is None or _is_text(value)) and len(self) < MOST_PLACES and _characters(value) <= _LONGEST:
            self[value] = is_open
        return is_open


class _Roots(dict[tuple[Any, ...], Step]):
    """The first steps, by the values of the fields that are asked at once."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[tuple[Any, ...]], Step]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, key: tuple[Any, ...]) -> Step:
        step = self._find(key)
        if all(value is None or _is_text(value) for value in key) and _characters(key) <= _LONGEST:
            if len(self) > MOST_PLACES:
                self.clear()
            self[key] = step
        return step


def _is_text(value: Any) -> bool:
    return type(value) is str or (type(value) is tuple and _are_texts(value))


def _are_texts(values: tuple[Any, ...]) -> bool:
    return all(type(item) is str for item in values)


def _characters(value: Any) -> int:
    """Count the characters of a text, or of the texts in a tuple."""
    return len(value) if type(value) is str else sum(map(_characters, value)) if type(value) is tuple else 0


def _given(mask: int) -> Step:
    return lambda event: mask


@cache
def _first_step(paths: tuple[str, ...]) -> Callable[[_Roots], Step]:
    made: Callable[[_Roots], Step] = _made(
        f"def make(roots):\n    def step(event): return roots[{_key(paths)}](event)\n    return step"
    )
    return made


@cache
def _first_steps(paths: tuple[str, ...], gate: str) -> Callable[[_Roots, Mapping[Any, bool]], _Steps]:
    condition = f" if gate[event.{gate}] else 0" if gate else ""
    made: Callable[[_Roots, Mapping[Any, bool]], _Steps] = _made(
        "def make(roots, gate):\n    def steps(events):\n"
        f"        return [roots[{_key(paths)}](event){condition} for event in events]\n    return steps"
    )
    return made


def _key(paths: Sequence[str]) -> str:
    """Give the text of a tuple of members; an object is read once for all its members."""
    seen: set[str] = set()
    parts: list[str] = []
    for path in paths:
        inner, _, member = path.rpartition(".")
        if not inner:
            parts.append(f"event.{path}" if path else "None")
            continue
        name = "o" + inner.replace(".", "_")
        parts.append(f"{name}.{member}" if inner in seen else f"({name} := event.{inner}).{member}")
        seen.add(inner)
    return "(" + "".join(part + ", " for part in parts) + ")"


@cache
def _class_step(path: str) -> Callable[[FieldTable, Classes], Step]:
    made: Callable[[FieldTable, Classes], Step] = _made(
        f"def make(table, classes):\n    def step(event): return classes[table[event.{path}]](event)\n    return step"
    )
    return made


@cache
def _later_step(paths: tuple[str, ...]) -> Callable[[Answers], Step]:
    value = _key(paths) if len(paths) > 1 else f"event.{paths[0]}" if paths[0] else "None"
    made: Callable[[Answers], Step] = _made(
        f"def make(answers):\n    def step(event): return answers[{value}](event)\n    return step"
    )
    return made


def _made(text: str) -> Any:
    """Run the text of a function; nothing of a rule or an event is in it, only numbered members (`f1.f4`)."""
    names: dict[str, Any] = {}
    exec(text, names)
    return names["make"]
