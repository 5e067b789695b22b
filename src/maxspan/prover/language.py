"""Sets of strings as small automata, to find a string that some patterns accept and others refuse.

Everything that EQL says about the text of one field with constants (`==`, `in`, `:`, `like`, `regex`, `startsWith`,
`endsWith`, `stringContains`) is a regular language. `find_word` walks through the product of several of them: it gives
a shortest string that lies in all of `inside` and in none of `outside`, or shows that there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from maxspan.languages.casefold import fold

_LAST: Final = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Characters:
    """One character out of inclusive ranges of code points; with `insensitive`, whatever folds to one of them."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False
    insensitive: bool = False

    def holds(self, character: str) -> bool:
        variants = variants_of(character) if self.insensitive else (character,)
        inside = any(low <= ord(variant) <= high for variant in variants for low, high in self.ranges)
        return inside is not self.negated


@dataclass(frozen=True, slots=True)
class Then:
    """All parts, one after the other; without parts the empty string."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of the parts; without parts nothing at all."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`low` to `high` times the part; `None` is without end."""

    part: Expression
    low: int = 0
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Units:
    """Any string of `low` to `high` UTF-16 units; a character beyond the basic plane counts two."""

    low: int = 0
    high: int | None = None


Expression: TypeAlias = Characters | Then | Either | Repeat | Units

ANY_CHARACTER: Final = Characters(((0, _LAST),))
ANYTHING: Final = Repeat(ANY_CHARACTER)
_BASIC: Final = Characters(((0, 0xFFFF),))
_BEYOND: Final = Characters(((0x10000, _LAST),))


_Places: TypeAlias = tuple[frozenset[int], ...]


class TooLarge(Exception):
    """The search was given up: the automata have too many states together."""


def variants_of(character: str) -> tuple[str, ...]:
    """Give a character and the single characters that are equal to it without regard to case."""
    folded = fold(character)
    found = (character, character.lower(), character.upper(), folded, folded.upper(), *_ODD.get(folded, ()))
    return tuple(dict.fromkeys(one for one in found if len(one) == 1))


#: characters beyond ASCII that fold to a letter of it
_ODD: Final = {"k": ("\u212a",), "s": ("\u017f",)}


def text(value: str, *, insensitive: bool = False) -> Expression:
    """Give the language of one string."""
    return Then(tuple(Characters(((ord(c), ord(c)),), insensitive=insensitive) for c in value))


def wildcard(pattern: str, *, insensitive: bool = False) -> Expression:
    """Give the language of a wildcard pattern: `*` is any run, `?` one character."""
    parts: list[Expression] = []
    for character in pattern:
        if character == "*":
            parts.append(ANYTHING)
        else:
            one = Characters(((ord(character), ord(character)),), insensitive=insensitive)
            parts.append(ANY_CHARACTER if character == "?" else one)
    return Then(tuple(parts))


@dataclass(slots=True)
class Automaton:
    """A nondeterministic automaton whose sets of states are made on demand; `sinks` accept all that follows."""

    tests: dict[Characters, int] = field(default_factory=dict)
    steps: list[list[tuple[int, int]]] = field(default_factory=list)
    silent: list[list[int]] = field(default_factory=list)
    start: frozenset[int] = frozenset()
    end: int = 0
    sinks: frozenset[int] = frozenset()
    visited: int = 0
    _held: dict[str, list[bool]] = field(default_factory=dict)
    _known: dict[tuple[frozenset[int], str], frozenset[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, expression: Expression) -> Automaton:
        made = cls()
        begin, end = made._state(), made._state()
        made._build(expression, begin, end)
        made.end = end
        made.start = made._closed({begin})
        anything = made.tests.get(ANY_CHARACTER)
        made.sinks = frozenset(
            state
            for state, steps in enumerate(made.steps)
            if (anything, state) in steps and end in made._closed({state})
        )
        return made

    def _state(self) -> int:
        self.steps.append([])
        self.silent.append([])
        if len(self.steps) > 60_000:
            raise TooLarge
        return len(self.steps) - 1

    def _step(self, begin: int, characters: Characters, end: int) -> None:
        self.steps[begin].append((self.tests.setdefault(characters, len(self.tests)), end))

    def _build(self, node: Expression, begin: int, end: int) -> None:
        match node:
            case Characters():
                self._step(begin, node, end)
            case Then(parts=parts):
                for part in parts:
                    following = self._state()
                    self._build(part, begin, following)
                    begin = following
                self.silent[begin].append(end)
            case Either(parts=parts):
                for part in parts:
                    self._build(Then((part,)), begin, end)
            case Repeat(part=part, low=low, high=high):
                self._repeat(part, low, high, begin, end)
            case Units(low=low, high=high):
                self._units(low, high, begin, end)

    def _units(self, low: int, high: int | None, begin: int, end: int) -> None:
        most = low if high is None else high
        places = [begin, *(self._state() for _ in range(most))]
        for at, place in enumerate(places):
            for one, count in ((_BASIC, 1), (_BEYOND, 2)):
                following = min(at + count, most) if high is None else at + count
                if at < most and following <= most:
                    self._step(place, one, places[following])
            if at >= low:
                self.silent[place].append(end)
        if high is None:
            self._repeat(ANY_CHARACTER, 0, None, places[-1], end)

    def _repeat(self, part: Expression, low: int, high: int | None, begin: int, end: int) -> None:
        for _ in range(low):
            following = self._state()
            self._build(part, begin, following)
            begin = following
        if high is None:
            loop = self._state()
            self.silent[begin].append(loop)
            if isinstance(part, Characters):
                self._step(loop, part, loop)
            else:
                self._build(Then((part,)), loop, loop)
            begin = loop
        for _ in range(low, high or low):
            self.silent[begin].append(end)
            following = self._state()
            self._build(part, begin, following)
            begin = following
        self.silent[begin].append(end)

    def _closed(self, states: Iterable[int]) -> frozenset[int]:
        seen = set(states)
        pending = list(seen)
        while pending:
            for following in self.silent[pending.pop()]:
                if following not in seen:
                    seen.add(following)
                    pending.append(following)
        return frozenset(seen)

    def step(self, states: frozenset[int], character: str) -> frozenset[int]:
        known = self._known.get((states, character))
        if known is None:
            held = self._held.get(character)
            if held is None:
                held = self._held[character] = [test.holds(character) for test in self.tests]
            reached = {to for state in states for test, to in self.steps[state] if held[test]}
            known = self._known[states, character] = self._closed(reached)
            self.visited += len(states) + len(known)
        return known

    def accepts(self, value: str) -> bool:
        """Whether the whole of a string belongs to the language."""
        states = self.start
        for character in value:
            states = self.step(states, character)
        return self.end in states


def find_word(inside: Sequence[Automaton], outside: Sequence[Automaton], *, limit: int = 1_500_000) -> str | None:
    """Give a shortest string that all of `inside` and none of `outside` accept; `None` when there is none.

    Raises TooLarge when it would take more than `limit` steps and visits of states.
    """
    visited = sum(one.visited for one in (*inside, *outside))
    alphabet = _alphabet([*inside, *outside])
    start = (tuple(one.start for one in inside), tuple(one.start for one in outside))
    seen = {start}
    spent = 0
    pending = deque([(start, "")])
    while pending:
        (within, without), word = pending.popleft()
        if _all_end(inside, within) and not _any_end(outside, without):
            return word
        spent += len(alphabet) * (len(inside) + len(outside))
        if spent + sum(one.visited for one in (*inside, *outside)) - visited > limit:
            raise TooLarge
        for character in alphabet:
            following = _stepped(inside, within, character), _stepped(outside, without, character)
            if not all(following[0]) or following in seen or _lost(outside, following[1]):
                continue
            seen.add(following)
            pending.append((following, word + character))
    return None


def _stepped(automata: Sequence[Automaton], at: _Places, character: str) -> _Places:
    return tuple([one.step(states, character) for one, states in zip(automata, at, strict=True)])


def _all_end(automata: Sequence[Automaton], at: _Places) -> bool:
    return all(one.end in states for one, states in zip(automata, at, strict=True))


def _any_end(automata: Sequence[Automaton], at: _Places) -> bool:
    return any(one.end in states for one, states in zip(automata, at, strict=True))


def _lost(outside: Sequence[Automaton], at: _Places) -> bool:
    """Whether whatever follows will be accepted by one that must not."""
    return any(not one.sinks.isdisjoint(states) for one, states in zip(outside, at, strict=True))


def _alphabet(automata: Sequence[Automaton]) -> list[str]:
    """Choose characters such that every other one is treated by all automata like one of them; plain ones first."""
    tests = list({test for automaton in automata for test in automaton.tests})
    chosen = {"x", "e", "1", "C", "-", "\u2603", "\u00e4", "\U0001f600"}
    for low, high in {one for characters in tests for one in characters.ranges if one != (0, _LAST)}:
        for code in {low - 1, low, high, high + 1} if low < high else {low}:
            if 0 < code <= _LAST and not 0xD800 <= code <= 0xDFFF:
                chosen.update(variants_of(chr(code)))
    ordered = sorted(chosen, key=lambda c: (not (c.isascii() and c.isalnum()), not c.isprintable(), not c.isascii(), c))
    kinds: dict[tuple[bool, ...], str] = {}
    for character in ordered:
        kinds.setdefault(tuple(test.holds(character) for test in tests), character)
    return list(kinds.values())
