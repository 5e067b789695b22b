"""What a field's value rules out: for every value that was seen, the mask of the pieces that it leaves possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from maxspan.engine.kernel.patterns import FieldPatterns
from maxspan.engine.kernel.text_tests import text_test
from maxspan.engine.reference.condition import Evaluator
from maxspan.languages import plan
from maxspan.languages.casefold import fold

#: Tables forget everything when they hold this many values, or this many characters of them.
MOST_VALUES: Final = 50_000
MOST_CHARACTERS: Final = 4_000_000

_WORD: Final = (1 << 64) - 1

Pieces = dict[plan.Condition, int]
#: what decides the atoms of a text: how many there are, those of every text, of words, of words without regard to case,
#: and of wildcards (folded if they are insensitive); atoms by their numbers
Texts = tuple[
    int,
    tuple[int, ...],
    tuple[tuple[bytes, tuple[int, ...]], ...],
    tuple[tuple[bytes, tuple[int, ...]], ...],
    tuple[tuple[bytes, bool, tuple[int, ...]], ...],
]
_TEXTS: Final[set[type]] = {str}


def table_key(name: str, condition: plan.Condition) -> str:
    """Name the table of a condition on one field: what is no word or wildcard has a table of its own.

    Regular expressions cost most, and have one as well.
    """
    leaves = list(plan.leaves(condition))
    if any(isinstance(leaf, plan.Regex) for leaf in leaves):
        return name + "\0regex"
    return name if all(map(_is_word, leaves)) else name + "\0other"


def _is_word(leaf: plan.Leaf) -> bool:
    match leaf:
        case plan.Comparison(op="==", left=plan.Field(), right=plan.Literal(value=str())):
            return True
        case plan.In(operand=plan.Field(), values=values):
            return all(isinstance(item.value, str) for item in values)
        case plan.Like(operand=plan.Field()) | plan.IsNull(operand=plan.Field()):
            return True
        case _:
            return False


class FieldTable(dict[Any, int]):
    """Maps a value of one field to its class; `table[value]` for a scalar, a tuple, or None (missing).

    Values of one class leave the same pieces possible: `masks[class]`. Atoms are the leaves of the conditions on the
    field: the bits of a list are those of its values together.
    """

    def __init__(self, name: str, conditions: Pieces, every: int, evaluator: Evaluator) -> None:
        super().__init__()
        self.name = name
        self.conditions = conditions
        self.all = every
        self.constrained = 0
        for mask in conditions.values():
            self.constrained |= mask
        self.atoms: dict[plan.Leaf, int] = {}
        self._evaluator = evaluator
        self._exact: dict[str, int] = {}
        self._folded: dict[str, int] = {}
        self._patterns = FieldPatterns()
        self._tests: list[tuple[Callable[[str], bool], int]] = []
        self._slow: list[tuple[plan.Leaf, int]] = []
        #: what every text fulfils, and what no value at all does
        self._every_text = 0
        self._missing = 0
        for condition in conditions:
            for leaf in plan.leaves(condition):
                if leaf not in self.atoms:
                    self._add(leaf)
        self._decisions = [(self._decision(condition), pieces) for condition, pieces in conditions.items()]
        self._held_by_nothing = [holds(0) for holds, _ in self._decisions]
        self._mask_of_nothing = self.all
        for held, (_, pieces) in zip(self._held_by_nothing, self._decisions, strict=True):
            self._mask_of_nothing &= self.all if held else ~pieces
        self._rivals: dict[int, list[int]] = {}
        self._sort_conditions()
        self._patterns.compile()
        self._pattern_bits = self._patterns.bits
        self._bits: dict[str, int] = {}
        self.masks: list[int] = []
        self._classes: dict[int, int] = {}
        self._class_of_mask: dict[int, int] = {}
        self._others: dict[tuple[type, Any], int] = {}
        self._characters = 0

    def _add(self, leaf: plan.Leaf) -> None:
        bit = self.atoms[leaf] = 1 << len(self.atoms)
        if self._evaluator.leaf(leaf, {}):
            self._missing |= bit
        match leaf:
            case plan.Comparison(op="==", left=plan.Field(), right=plan.Literal(value=str() as text)):
                self._exact[text] = self._exact.get(text, 0) | bit
            case plan.In(operand=plan.Field(), values=values, insensitive=insensitive) if all(
                isinstance(item.value, str) for item in values
            ):
                for item in values:
                    self._word(str(item.value), bit, insensitive)
            case plan.Like(operand=plan.Field(), patterns=patterns):
                for pattern in patterns:
                    if "*" in pattern or "?" in pattern:
                        self._patterns.add_like(leaf, pattern, bit)
                    else:
                        self._word(pattern, bit, leaf.insensitive)
            case plan.Regex(operand=plan.Field(), patterns=patterns):
                for pattern in patterns:
                    self._patterns.add_regex(leaf, pattern, bit)
            case plan.IsNull(operand=plan.Field(), negated=negated):
                self._every_text |= bit if negated else 0
            case _:
                test = text_test(leaf)
                if test is None:
                    self._slow.append((leaf, bit))
                else:
                    self._tests.append((test, bit))

    def _word(self, text: str, bit: int, insensitive: bool) -> None:
        if insensitive:
            self._folded[fold(text)] = self._folded.get(fold(text), 0) | bit
        else:
            self._exact[text] = self._exact.get(text, 0) | bit

    def forget(self) -> None:
        """Forget all classes; whoever holds one has to ask anew."""
        self.clear()
        self._bits.clear()
        self._others.clear()
        self._classes.clear()
        self._class_of_mask.clear()
        self.masks.clear()
        self._characters = 0

    # --- masks -------------------------------------------------------------------------------------------------------

    def __missing__(self, value: Any) -> int:
        """Compute the mask of a value that is not known yet; a tuple is a list of values."""
        if value is None:
            known = self._class(self._missing)
        elif type(value) is str:
            bits = self._text_bits(value)
            one = self._classes.get(bits)
            known = self._class(bits) if one is None else one
            self._characters += len(value)
            if self._characters > MOST_CHARACTERS or len(self) > MOST_VALUES:
                self._forget_values()
        elif type(value) is tuple:
            known = self.class_of(value)
            if set(map(type, value)) != _TEXTS:
                return known
            self._characters += sum(map(len, value))
            if self._characters > MOST_CHARACTERS or len(self) > MOST_VALUES:
                self._forget_values()
        else:
            return self._class(self._other_bits(value))
        self[value] = known
        return known

    def mask_once(self, value: Any) -> int:
        """Give the mask of a scalar, a tuple or None, for somebody who remembers it: texts are not remembered here."""
        if type(value) is str:
            return self.masks[self._class(self._text_bits(value))]
        if type(value) is tuple:
            return self.masks[self.class_of(value)]
        return self.masks[self[value]]

    def mask_of_atoms(self, bits: int) -> int:
        """Give the mask of values that fulfil these atoms."""
        return self.masks[self._class(bits)]

    def texts(self) -> Texts | None:
        """Give what decides the atoms of a text, if words and wildcards alone do: else None."""
        wildcards = self._patterns.wildcards
        if self._tests or self._slow or wildcards is None or not self.atoms:
            return None
        return (
            len(self.atoms),
            _numbers(self._every_text),
            tuple((text.encode(), _numbers(bits)) for text, bits in self._exact.items()),
            tuple((text.encode(), _numbers(bits)) for text, bits in self._folded.items()),
            tuple((text.encode(), insensitive, _numbers(bits)) for (text, insensitive), bits in wildcards.items()),
        )

    def mask(self, values: Iterable[Any]) -> int:
        """Give the mask of a list of scalars; empty, or all null, is missing."""
        return self.masks[self.class_of(values)]

    def class_of(self, values: Iterable[Any]) -> int:
        """Give the class of a list of scalars."""
        bits, found = 0, False
        known = self._bits
        for value in values:
            if type(value) is str:
                one = known.get(value)
                bits |= self._item_bits(value) if one is None else one
                found = True
            elif value is not None:
                bits |= self._other_bits(value)
                found = True
        if not found:
            bits = self._missing
        one = self._classes.get(bits)
        return self._class(bits) if one is None else one

    def _forget_values(self) -> None:
        self.clear()
        self._bits.clear()
        self._characters = 0

    def _text_bits(self, value: str) -> int:
        """Give the atoms that a text fulfils."""
        folded = value.lower() if value.isascii() else fold(value)
        bits = self._pattern_bits(value, folded) | self._every_text
        if value in self._exact:
            bits |= self._exact[value]
        if folded in self._folded:
            bits |= self._folded[folded]
        for test, bit in self._tests:
            if test(value):
                bits |= bit
        if self._slow:
            for leaf, bit in self._slow:
                if self._evaluator.leaf(leaf, {self.name: [value]}):
                    bits |= bit
        return bits

    def _item_bits(self, value: str) -> int:
        """Give the atoms that a text in a list fulfils, and remember them."""
        bits = self._bits[value] = self._text_bits(value)
        self._characters += len(value)
        if self._characters > MOST_CHARACTERS or len(self._bits) > MOST_VALUES:
            self._forget_values()
        return bits

    def _other_bits(self, value: Any) -> int:
        """Numbers and booleans: 1, 1.0 and true are three values, and only some leaves know them."""
        key = (type(value), value)
        known = self._others.get(key)
        if known is None:
            fields = {self.name: [value]}
            known = sum(bit for leaf, bit in self.atoms.items() if self._evaluator.leaf(leaf, fields))
            if len(self._others) > MOST_VALUES:
                self._others.clear()
            self._others[key] = known
        return known

    def _class(self, bits: int) -> int:
        """Give the class of values that fulfil these atoms."""
        known = self._classes.get(bits)
        if known is None:
            mask = self._mask_of(bits)
            known = self._class_of_mask.get(mask)
            if known is None:
                known = self._class_of_mask[mask] = len(self.masks)
                self.masks.append(mask)
            if len(self._classes) > MOST_VALUES:
                self._classes.clear()
            self._classes[bits] = known
        return known

    def _sort_conditions(self) -> None:
        """Note for each atom what a value gains and loses by it.

        What is true with any of its atoms is gained at once, unless other conditions on this field are asked of the
        same pieces (`_fulfilled`); what is true without all of its atoms is lost at once. `_touched` are the others.
        """
        self._gained, self._lost = [0] * len(self.atoms), [0] * len(self.atoms)
        self._fulfilled: list[set[int]] = [set() for _ in self.atoms]
        self._touched: list[set[int]] = [set() for _ in self.atoms]
        self._words: dict[tuple[int, int], tuple[int, int, frozenset[int], frozenset[int]]] = {}
        once = twice = 0
        for held, (_, pieces) in zip(self._held_by_nothing, self._decisions, strict=True):
            if not held:
                twice |= once & pieces
                once |= pieces
        for number, (condition, pieces) in enumerate(self.conditions.items()):
            negated = isinstance(condition, plan.Not)
            inner = condition.item if isinstance(condition, plan.Not) else condition
            plain = inner in self.atoms or (
                isinstance(inner, plan.Or) and all(item in self.atoms for item in inner.items)
            )
            for leaf in plan.leaves(condition):
                atom = self.atoms[leaf].bit_length() - 1
                if plain and negated:
                    self._lost[atom] |= pieces
                elif plain and not pieces & twice:
                    self._gained[atom] |= pieces
                elif plain:
                    self._fulfilled[atom].add(number)
                else:
                    self._touched[atom].add(number)

    def _mask_of(self, bits: int) -> int:
        """Rule out the pieces whose conditions the atoms do not fulfil.

        Only conditions that ask for one of the atoms differ from what they come to without any.
        """
        held: set[int] = set()
        touched: set[int] = set()
        mask, lost = self._mask_of_nothing, 0
        place = 0
        while bits >> place:
            word = bits >> place & _WORD
            if word:
                known = self._words.get((place, word))
                if known is None:
                    known = self._of_word(place, word)
                mask |= known[0]
                lost |= known[1]
                held |= known[2]
                touched |= known[3]
            place += 64
        decisions, before = self._decisions, self._held_by_nothing
        for number in touched:
            holds = decisions[number][0](bits)
            if holds and not before[number]:
                held.add(number)
            elif before[number] and not holds:
                lost |= decisions[number][1]
        for number in held:
            possible = decisions[number][1]
            for rival in self._rivals.get(number) or self._rivals_of(number):
                if rival not in held:
                    possible &= ~decisions[rival][1]
            mask |= possible
        return mask & ~lost

    def _of_word(self, place: int, word: int) -> tuple[int, int, frozenset[int], frozenset[int]]:
        """Give what 64 atoms gain, lose and touch together; few sets of them occur."""
        gained = lost = 0
        held: set[int] = set()
        touched: set[int] = set()
        for number in _numbers(word):
            atom = place + number
            gained |= self._gained[atom]
            lost |= self._lost[atom]
            held |= self._fulfilled[atom]
            touched |= self._touched[atom]
        if len(self._words) > MOST_VALUES:
            self._words.clear()
        known = self._words[place, word] = gained, lost, frozenset(held), frozenset(touched)
        return known

    def _rivals_of(self, number: int) -> list[int]:
        """Give the other conditions that rule out pieces of a condition as long as there are no atoms."""
        known = self._rivals.get(number)
        if known is None:
            pieces = self._decisions[number][1]
            known = self._rivals[number] = [
                other
                for other, (_, theirs) in enumerate(self._decisions)
                if other != number and theirs & pieces and not self._held_by_nothing[other]
            ]
        return known

    def _decision(self, condition: plan.Condition) -> Callable[[int], bool]:
        """Give what tells whether the atoms of a value fulfil a condition."""
        match condition:
            case plan.And(items=items):
                every = [self._decision(item) for item in items]
                return lambda bits: all(one(bits) for one in every)
            case plan.Or(items=items) if all(item in self.atoms for item in items):
                any_of = sum({self.atoms[cast(plan.Leaf, item)] for item in items})
                return lambda bits: bits & any_of != 0
            case plan.Or(items=items):
                some = [self._decision(item) for item in items]
                return lambda bits: any(one(bits) for one in some)
            case plan.Not(item=item):
                inner = self._decision(item)
                return lambda bits: not inner(bits)
            case _:
                atom = self.atoms[condition]
                return lambda bits: bits & atom != 0


def _numbers(bits: int) -> tuple[int, ...]:
    """Give the numbers of the bits that are set."""
    return tuple(number for number in range(bits.bit_length()) if bits >> number & 1)
