"""The join keys for which a later stage of a sequence is open: an event with another key continues nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from maxspan.engine.kernel.compiled import Role
from maxspan.engine.kernel.decoding import Getter
from maxspan.engine.reference.event import Key

EARLIEST: Final = -(2**63)
LATEST: Final = 2**63
#: With more keys than this, a stage is open for every key.
MOST_KEYS: Final = 200_000
#: Keys that are no longer open are looked for first when there are this many.
PURGE_AT: Final = 2_000


class OpenKeys:
    """The keys that wait for one stage, each until some time; `own` is the mask of the stage's pieces.

    Only keys of texts are told apart. Where an event's key is another one, or keys were forgotten, the stage counts as
    open: that costs time and changes nothing.
    """

    __slots__ = ("_any_until", "_forgotten_ns", "_keys", "_names", "_purge_at", "_read", "_required", "_single", "own")

    def __init__(self, role: Role, own: int, getter: Callable[..., Getter]) -> None:
        self.own = own
        names = tuple(field.name for field in role.by)
        self._names = names
        self._required = [not field.optional for field in role.by]
        #: the keys of typed fields are compared in another form than the event's
        comparable = names and not any(name in role.rule.evaluator.types for name in names)
        self._read = getter(*names) if comparable else None
        self._single = len(names) == 1
        self._keys: dict[Any, int] = {}
        self._any_until = EARLIEST
        self._forgotten_ns = EARLIEST
        self._purge_at = PURGE_AT

    def is_open(self, event: Any, now_ns: int) -> bool:
        """Whether something may wait for this decoded event."""
        if self._read is None:
            return True
        key = self._read(event)
        until_ns = self._keys.get(key)
        if until_ns is not None and now_ns <= until_ns:
            return True
        if now_ns <= self._any_until or now_ns <= self._forgotten_ns:
            return True
        if self._single:
            return type(key) is not str and self._is_other((key,))
        for value in key:
            if type(value) is not str:
                return self._is_other(key)
        return False

    def is_open_for(self, fields: Any, now_ns: int) -> bool:
        """Whether something may wait for an event with these fields, given as lists of values."""
        if self._read is None:
            return True
        values = [fields.get(name, ()) for name in self._names]
        if any(len(one) > 1 for one in values):
            return True
        key = tuple(one[0] if one else None for one in values)
        until_ns = self._keys.get(key[0] if self._single else key)
        if until_ns is not None and now_ns <= until_ns:
            return True
        if now_ns <= self._any_until or now_ns <= self._forgotten_ns:
            return True
        return any(type(value) is not str for value in key) and self._is_other(key)

    def _is_other(self, key: tuple[Any, ...]) -> bool:
        """Whether a key that is none of texts alone may be one: an event without a key is in no sequence."""
        return not any(value is None and required for value, required in zip(key, self._required, strict=True))

    def until(self, key: Key, now_ns: int) -> int:
        """Give until when the stage is open for a key; the earliest time there is if it is not."""
        if self._read is None:
            return self._any_until
        if now_ns <= self._forgotten_ns:
            return LATEST
        text = self._text(key)
        return max(self._any_until, EARLIEST if text is None else self._keys.get(text, EARLIEST))

    def open(self, key: Key, until_ns: int, now_ns: int) -> None:
        """Open the stage for a key."""
        text = None if self._read is None else self._text(key)
        if text is None:
            self._any_until = max(self._any_until, until_ns)
        else:
            self.open_text(text, until_ns, now_ns)

    def open_text(self, text: str | tuple[str, ...], until_ns: int, now_ns: int) -> None:
        """Open the stage for a key of texts, as it is read from events."""
        if self._read is None:
            self._any_until = max(self._any_until, until_ns)
            return
        keys = self._keys
        known = keys.get(text)
        if known is None or known < until_ns:
            keys[text] = until_ns
            if len(keys) > self._purge_at:
                self._purge(now_ns)

    def _text(self, key: Key) -> Any:
        """Give a key of texts as it is read from events; None for another one."""
        texts: list[str] = []
        for kind, value, *_ in key:
            if kind != "str":
                return None
            texts.append(value)
        return texts[0] if self._single else tuple(texts)

    def _purge(self, now_ns: int) -> None:
        """Forget the keys that are no longer open."""
        gone = [key for key, until_ns in self._keys.items() if until_ns < now_ns]
        for key in gone:
            del self._keys[key]
        if gone:
            self._forgotten_ns = max(self._forgotten_ns, now_ns)
        if len(self._keys) > MOST_KEYS:
            self._any_until = max(self._any_until, *self._keys.values())
            self._keys.clear()
        self._purge_at = max(PURGE_AT, 2 * len(self._keys))
