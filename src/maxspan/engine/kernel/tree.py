"""From an event to the stages that it fulfils: one look-up a field, the field that rules out most first.

The way is a tree that grows as events come: below each place stands, for each set of pieces that is still possible, the
field to ask next. The first step asks several fields at once, of which few combinations occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from maxspan.engine.kernel.decoding import FieldDecoder, Getter
from maxspan.engine.kernel.tables import FieldTable
from maxspan.schema.index_patterns import Told, told_by

#: asked at once, if rules read them
GATES: Final = ("event.category", "event.type", "event.action", "host.os.type")
TOLD: Final = ("data_stream.type", "data_stream.dataset", "data_stream.namespace", "event.dataset", "_index")
#: The tree is forgotten when it has this many places.
MOST_PLACES: Final = 50_000
#: So does it when some field has shown this many kinds of values.
MOST_CLASSES: Final = 20_000
#: these hold long and ever new values: asked late
_COSTLY: Final = ("args", "command_line", "path", "title", "message", "ScriptBlockText", "working_directory")


class Place:
    """One place in the tree: the pieces possible here, the field to ask, and those `left` for later.

    `table` is None where nothing is left that could rule out more.
    """

    __slots__ = ("children", "getter", "known", "left", "mask", "name", "table")

    def __init__(self, mask: int, left: list[str], name: str, table: FieldTable | None, getter: Getter | None) -> None:
        self.mask = mask
        self.left = left
        self.name = name
        self.table = table
        self.getter = getter
        #: by the class of the value, and by what is possible then
        self.children: dict[int, Place] = {}
        self.known: dict[int, Place] = {}


#: the end of all ways that lead to nothing
_NOWHERE: Final = Place(0, [], "", None, None)


class Tree:
    """Finds the mask of pieces that an event fulfils, 0 for none.

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
        names = (*self.gates, *self._told)
        getter = decoder.getter(*names) if names else None
        self.gate: Getter = (lambda event: ()) if getter is None else getter
        if len(names) == 1:
            single = self.gate
            self.gate = lambda event: (single(event),)
        self.roots: dict[Any, Place] = {}
        self._places = 0

    # --- the fast way ------------------------------------------------------------------------------------------------

    def mask(self, event: Any) -> int:
        """Give the pieces that a decoded event fulfils. Raises TypeError where a value is no scalar or list of them."""
        key = self.gate(event)
        place = self.roots.get(key) or self._root(key)
        while True:
            table = place.table
            if table is None:
                return place.mask
            kind = table[place.getter(event)]  # type: ignore[misc]
            place = place.children.get(kind) or self._child(place, kind)

    def _root(self, key: tuple[Any, ...]) -> Place:
        values = [list(part) if type(part) is tuple else [] if part is None else [part] for part in key]
        fields = dict(zip((*self.gates, *self._told), values, strict=True))
        root = self._first(fields, "")
        if all(type(item) is str for value in values for item in value):
            self.roots[key] = root
        return root

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
        key = (mask, None)
        root = self.roots.get(key)
        if root is None:
            root = self.roots[key] = self._place(mask, [name for name in self._tables if name not in self.gates])
        return root

    # --- growing -----------------------------------------------------------------------------------------------------

    def _child(self, place: Place, kind: int) -> Place:
        """Make the place behind values of a class; one place for all that leave the same pieces possible."""
        assert place.table is not None
        mask = place.mask & place.table.masks[kind]
        if not mask:
            child = _NOWHERE
        else:
            known = place.known.get(mask)
            if known is None:
                if self._places > MOST_PLACES:
                    self.roots.clear()
                    self._places = 0
                known = place.known[mask] = self._place(mask, place.left)
            child = known
        place.children[kind] = child
        if len(place.table.masks) > MOST_CLASSES:
            place.table.forget()
            self.roots.clear()
            self._places = 0
        return child

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
        left = [name for name in left if name != best]
        return Place(mask, left, best, self._tables.get(best), self._decoder.getter(best) if best else None)
