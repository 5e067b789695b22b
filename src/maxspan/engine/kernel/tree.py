"""From an event to the stages that it fulfils: one look-up a field, the field that rules out most first.

The way is a tree that grows as events come: below each place stands, for each class of values, the place to go to next.
The first step asks several fields at once, of which few combinations occur. Each place is a small function, made from
a text for its field, so that going down the tree is nothing but reading members and looking up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from maxspan.engine.kernel.decoding import FieldDecoder
from maxspan.engine.kernel.tables import FieldTable
from maxspan.schema.index_patterns import Told, told_by

#: asked at once, if rules read them
GATES: Final = ("event.category", "event.type", "event.action", "host.os.type")
TOLD: Final = ("data_stream.type", "data_stream.dataset", "data_stream.namespace", "event.dataset", "_index")
#: The tree is forgotten when it has this many places.
MOST_PLACES: Final = 50_000
#: So does it when some field has shown this many kinds of values, or the first step so many combinations.
MOST_CLASSES: Final = 20_000
#: these hold long and ever new values: asked late
_COSTLY: Final = ("args", "command_line", "path", "title", "message", "ScriptBlockText", "working_directory")

#: takes a decoded event and gives the pieces that it fulfils
Step = Callable[[Any], int]


class Place:
    """One place in the tree: the pieces possible here, the field to ask, and those `left` for later.

    `table` is None where nothing is left that could rule out more. `step` goes on from here.
    """

    __slots__ = ("children", "known", "left", "mask", "name", "step", "table")

    def __init__(self, mask: int, left: list[str], name: str, table: FieldTable | None) -> None:
        self.mask = mask
        self.left = left
        self.name = name
        self.table = table
        #: by the class of the value, and by what is possible then
        self.children: dict[int, Place] = {}
        self.known: dict[int, Place] = {}
        self.step: Step = lambda event: mask


#: the end of all ways that lead to nothing
_NOWHERE: Final = Place(0, [], "", None)


class _Steps(dict[int, Step]):
    """The steps behind a place, by the class of the value; made when they are first taken."""

    __slots__ = ("_grow", "_place")

    def __init__(self, place: Place, grow: Callable[[Place, int], Place]) -> None:
        super().__init__()
        self._place = place
        self._grow = grow

    def __missing__(self, kind: int) -> Step:
        step = self[kind] = self._grow(self._place, kind).step
        return step


class _Roots(dict[tuple[Any, ...], Step]):
    """The first steps, by the values of the fields that are asked at once."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[tuple[Any, ...]], Place]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, key: tuple[Any, ...]) -> Step:
        step = self._find(key).step
        if all(value is None or _is_text(value) for value in key):  # 1, 1.0 and true would be one key
            if len(self) > MOST_CLASSES:
                self.clear()
            self[key] = step
        return step


def _is_text(value: Any) -> bool:
    return type(value) is str or (type(value) is tuple and all(type(item) is str for item in value))


class Tree:
    """Finds the mask of pieces that an event fulfils, 0 for none: `mask(event)` for a decoded one.

    `applies` gives the mask of pieces whose rule's index patterns admit what an event tells of its place.
    """

    def __init__(
        self,
        tables: Mapping[str, FieldTable],
        decoder: FieldDecoder,
        categories: Iterable[str],
        every: int,
        applies: Callable[[Told], int] | None,
    ) -> None:
        self._tables = tables
        self._decoder = decoder
        self._every = every
        self._applies = applies
        self.gates = tuple(name for name in dict.fromkeys((*categories, *GATES)) if name in tables)
        self._told = TOLD if applies is not None else ()
        self._beginnings: dict[int, Place] = {}
        self._roots = _Roots(self._root)
        self._places = 0
        paths = [decoder.path(name) for name in (*self.gates, *self._told)]
        self.mask: Step = _first_step(tuple(paths))(self._roots)

    # --- the fast way ------------------------------------------------------------------------------------------------

    def _root(self, key: tuple[Any, ...]) -> Place:
        values = [list(part) if type(part) is tuple else [] if part is None else [part] for part in key]
        return self._first(dict(zip((*self.gates, *self._told), values, strict=True)), "")

    # --- the general way ---------------------------------------------------------------------------------------------

    def mask_of_fields(self, fields: Mapping[str, Sequence[Any]], index: str = "") -> int:
        """Give the same for a flattened event; `index` is that of the document around it."""
        place = self._first(fields, index)
        while place.table is not None:
            kind = place.table.class_of(fields.get(place.name, ()))
            place = place.children.get(kind) or self._child(place, kind)
        return place.mask

    def _first(self, fields: Mapping[str, Sequence[Any]], index: str) -> Place:
        mask = self._every
        if self._applies is not None:
            mask &= self._applies(told_by({name: fields.get(name, ()) for name in TOLD}, index))
        for name in self.gates:
            mask &= self._tables[name].mask(fields.get(name, ()))
        if not mask:
            return _NOWHERE
        place = self._beginnings.get(mask)
        if place is None:
            place = self._place(mask, [name for name in self._tables if name not in self.gates])
            self._beginnings[mask] = place
        return place

    # --- growing -----------------------------------------------------------------------------------------------------

    def _child(self, place: Place, kind: int) -> Place:
        """Make the place behind values of a class; one place for all that leave the same pieces possible."""
        assert place.table is not None
        mask = place.mask & place.table.masks[kind]
        child = _NOWHERE
        if mask:
            known = place.known.get(mask)
            if known is None:
                if self._places > MOST_PLACES:
                    self._forget()
                known = place.known[mask] = self._place(mask, place.left)
            child = known
        place.children[kind] = child
        if len(place.table.masks) > MOST_CLASSES:
            place.table.forget()
            self._forget()
        return child

    def _forget(self) -> None:
        self._roots.clear()
        self._beginnings.clear()
        self._places = 0

    def _place(self, mask: int, asked: Iterable[str]) -> Place:
        """Make a place: of the fields that may still rule something out, ask the one that rules out most."""
        self._places += 1
        best, most = "", 0.0
        left: list[str] = []
        for name in asked:
            constrained = mask & self._tables[name].constrained
            if not constrained:
                continue
            left.append(name)
            score = constrained.bit_count() / (4 if name.endswith(_COSTLY) else 1)
            if score > most:
                best, most = name, score
        place = Place(mask, [name for name in left if name != best], best, self._tables.get(best))
        if place.table is not None:
            place.step = _later_step(self._decoder.path(best))(place.table, _Steps(place, self._child))
        return place


@cache
def _first_step(paths: tuple[str, ...]) -> Callable[[_Roots], Step]:
    key = "".join(f"event.{path}, " if path else "None, " for path in paths)
    text = f"def make(roots):\n    def step(event): return roots[({key})](event)\n    return step"
    made: Callable[[_Roots], Step] = _made(text)
    return made


@cache
def _later_step(path: str) -> Callable[[FieldTable, _Steps], Step]:
    value = f"event.{path}" if path else "None"
    text = f"def make(table, steps):\n    def step(event): return steps[table[{value}]](event)\n    return step"
    made: Callable[[FieldTable, _Steps], Step] = _made(text)
    return made


def _made(text: str) -> Any:
    """Run the text of a function; nothing of a rule or an event is in it, only numbered members (`f1.f4`)."""
    names: dict[str, Any] = {}
    exec(text, names)
    return names["make"]
