"""From a batch to the rows that fulfil pieces of rules: rows with the same pieces possible are one group.

Field after field, each distinct value of the rows that are left is asked of the field's table once; what that rules out
is then the matter of arrays. Gates come first, then the fields with few distinct values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from maxspan.engine.kernel.columns.arrow import np
from maxspan.engine.kernel.columns.fields import BatchFields
from maxspan.engine.kernel.events import listed
from maxspan.engine.kernel.gates import GATES, TOLD
from maxspan.engine.kernel.native.scanning import Scanning
from maxspan.engine.kernel.tables import FieldTable
from maxspan.schema.index_patterns import Told, told_by

#: Tables of regular expressions cost so much more for a value. Their keys say what they are.
_REGEX: Final = 3
#: below this many pairs of a group and a class, a table of all pairs is quicker than sorting
_MOST_PAIRS: Final = 4_000_000


class Groups:
    """The rows that may still fulfil something, and for each the number of its mask.

    `packed` are the masks as the compiled scanner has them.
    """

    def __init__(self, rows: Any, every: int) -> None:
        self.rows = rows
        self.numbers = np.zeros(len(rows), dtype=np.int64)
        self._masks: list[int] | None = [every]
        self._packed: bytes | None = None

    @property
    def masks(self) -> list[int]:
        return self._masks if self._masks is not None else []

    def packed(self, scanning: Scanning) -> bytes:
        """Give the masks as the compiled scanner has them."""
        if self._packed is None:
            self._packed = scanning.packed(self.masks)
        return self._packed

    def unpack(self, scanning: Scanning) -> None:
        """Have the masks as numbers again."""
        if self._masks is None and self._packed is not None:
            self._masks = scanning.unpacked(self._packed)

    def narrow_texts(self, scanning: Scanning, key: str, texts: Sequence[Any]) -> None:
        """Leave to the rows what a table says of their values in a column (`Scanning.narrow_rows`)."""
        found = scanning.narrow_rows(key, self.rows, self.numbers, self.packed(scanning), *texts)
        if found is not None:
            rows, numbers, self._packed = found
            self.rows, self.numbers = np.frombuffer(rows, dtype=np.int64), np.frombuffer(numbers, dtype=np.int64).copy()
            self._masks = None

    def narrow(self, affected: Any, classes: Any, masks: Sequence[int]) -> None:
        """Leave to the rows at `affected` (places in `rows`) what the mask of their class allows."""
        count = len(masks)
        pairs = self.numbers[affected] * count + classes
        if len(self.masks) * count <= _MOST_PAIRS:
            wanted = np.zeros(len(self.masks) * count, dtype=bool)
            wanted[pairs] = True
            occurring = np.flatnonzero(wanted)
            place = np.zeros(len(wanted), dtype=np.int64)
            place[occurring] = np.arange(len(occurring))
            inverse = place[pairs]
        else:
            occurring, inverse = np.unique(pairs, return_inverse=True)
        known = {mask: number for number, mask in enumerate(self.masks)}
        old = self.masks
        made = list(self.masks)
        numbers = np.empty(len(occurring), dtype=np.int64)
        for n, pair in enumerate(occurring.tolist()):
            mask = old[pair // count] & masks[pair % count]
            number = known.get(mask)
            if number is None:
                number = known[mask] = len(made)
                made.append(mask)
            numbers[n] = number
        self.numbers[affected] = numbers[inverse]
        self._compact(made)

    def _compact(self, masks: list[int]) -> None:
        """Forget rows that fulfil nothing and masks that no row has."""
        alive = np.array([mask != 0 for mask in masks], dtype=bool)[self.numbers]
        if not alive.all():
            self.rows, self.numbers = self.rows[alive], self.numbers[alive]
        counts = np.bincount(self.numbers, minlength=len(masks))
        used = np.flatnonzero(counts)
        place = np.zeros(len(masks), dtype=np.int64)
        place[used] = np.arange(len(used))
        self.numbers = place[self.numbers]
        self._masks, self._packed = [masks[number] for number in used.tolist()], None

    def touched(self, pieces: int) -> Any:
        """Give the places of the rows to which some of these pieces are possible."""
        hit = np.array([mask & pieces != 0 for mask in self.masks], dtype=bool)
        return np.flatnonzero(hit[self.numbers])


class MaskFinder:
    """Finds the mask of pieces for rows of a batch, as `Tree.mask_of_fields` does for one event.

    `applies` gives the pieces of rules whose index patterns admit what an event tells of its place; None: all do. Texts
    are asked of `scanning`, where that is there.
    """

    def __init__(
        self,
        tables: Mapping[str, FieldTable],
        categories: Sequence[str],
        every: int,
        applies: Callable[[Told], int] | None,
        scanning: Scanning | None,
    ) -> None:
        self._every = every
        self._applies = applies
        self._scanning = scanning
        self._tables = tables
        self._gates = [name for name in dict.fromkeys((*categories, *GATES)) if name in tables]
        self._others = [key for key in tables if key not in self._gates]

    def find(self, fields: BatchFields) -> Groups:
        """Give the rows of a batch that fulfil something, in order."""
        groups = Groups(np.arange(fields.batch.rows), self._every)
        if self._applies is not None:
            self._by_index(groups, fields, self._applies)
        for key in (*self._gates, *self._in_order(fields)):
            self._ask(key, groups, fields)
        return groups

    def _ask(self, key: str, groups: Groups, fields: BatchFields) -> None:
        table, scanning = self._tables[key], self._scanning
        if scanning is not None:
            texts = fields.texts(table.name)
            if texts is not None:
                groups.narrow_texts(scanning, key, texts)
                return
            groups.unpack(scanning)
        affected = groups.touched(table.constrained)
        if len(affected):
            numbers, values = fields.distinct(table.name, groups.rows[affected])
            classes, masks = _classes([table.masks[table[value]] for value in values])
            groups.narrow(affected, classes[numbers], masks)

    def _in_order(self, fields: BatchFields) -> list[str]:
        """Give the keys of tables in the order in which they are asked: those with few values to ask of first."""
        costs = {
            key: fields.cost(self._tables[key].name) * (_REGEX if key.endswith("\0regex") else 1)
            for key in self._others
        }
        return sorted(costs, key=lambda key: costs[key])

    def _by_index(self, groups: Groups, fields: BatchFields, applies: Callable[[Told], int]) -> None:
        told = [(name, *fields.distinct(name, groups.rows)) for name in TOLD if fields.has(name)]
        combined = np.zeros(len(groups.rows), dtype=np.int64)
        for _, numbers, values in told:
            _, combined = np.unique(combined * len(values) + numbers, return_inverse=True)
        _, first = np.unique(combined, return_index=True)
        masks = []
        for row in first.tolist():
            own = {name: listed(values[numbers[row]]) for name, numbers, values in told}
            masks.append(applies(told_by(own)))
        classes, distinct = _classes(masks)
        groups.narrow(np.arange(len(groups.rows)), classes[combined], distinct)


def _classes(masks: Sequence[int]) -> tuple[Any, list[int]]:
    """Give for each of these masks the number of the first that is equal, and those that differ."""
    known: dict[int, int] = {}
    numbers = [known.setdefault(mask, len(known)) for mask in masks]
    return np.array(numbers, dtype=np.int64), list(known)
