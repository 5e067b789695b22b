"""The join keys for which a later stage of a sequence is open: an event with another key continues nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from maxspan.engine.kernel.compiled import Role
    from maxspan.engine.kernel.decoding import Getter
    from maxspan.engine.reference.event import Key

EARLIEST: Final = -(2**63)
LATEST: Final = 2**63 - 1
#: With more keys than this, a stage is open for every key.
MOST_KEYS: Final = 200_000
#: Keys that are no longer open are looked for first when there are this many.
PURGE_AT: Final = 2_000

Texts = tuple[str, ...]


class Keys(Protocol):
    """Until when a stage is open, by keys of texts. `latest_ns` is until when it is for some key, or was."""

    @property
    def latest_ns(self) -> int: ...

    def open(self, texts: Texts | None, until_ns: int, now_ns: int) -> None:
        """Open the stage for a key; None is one that is not told apart from others."""

    def until(self, texts: Texts | None, now_ns: int) -> int:
        """Give until when an event at a time with this key, or with some key, may continue something."""


class KeysInPython:
    """Keys where the compiled part of maxspan is not there."""

    __slots__ = ("_any_ns", "_forgotten_ns", "_keys", "_purge_at", "latest_ns")

    def __init__(self) -> None:
        self._keys: dict[Texts, int] = {}
        self.latest_ns = self._any_ns = self._forgotten_ns = EARLIEST
        self._purge_at = PURGE_AT

    def open(self, texts: Texts | None, until_ns: int, now_ns: int) -> None:
        if until_ns > self.latest_ns:
            self.latest_ns = until_ns
        if texts is None:
            self._any_ns = max(self._any_ns, until_ns)
            return
        known = self._keys.get(texts)
        if known is None or known < until_ns:
            self._keys[texts] = until_ns
            if len(self._keys) > self._purge_at:
                self._purge(now_ns)

    def until(self, texts: Texts | None, now_ns: int) -> int:
        if now_ns > self.latest_ns:
            return EARLIEST
        if now_ns <= self._forgotten_ns:
            return LATEST
        return self._any_ns if texts is None else max(self._any_ns, self._keys.get(texts, EARLIEST))

    def _purge(self, now_ns: int) -> None:
        """Forget the keys that are no longer open."""
        gone = [key for key, until_ns in self._keys.items() if until_ns < now_ns]
        for key in gone:
            del self._keys[key]
        if gone:
            self._forgotten_ns = max(self._forgotten_ns, now_ns)
        if len(self._keys) > MOST_KEYS:
            self._any_ns = max(self._any_ns, *self._keys.values())
            self._keys.clear()
        self._purge_at = max(PURGE_AT, 2 * len(self._keys))


class OpenKeys:
    """The keys that wait for one stage, each until some time; `own` is the mask of the stage's pieces.

    Only keys of texts are told apart. Where an event's key is another one, or keys were forgotten, the stage counts as
    open: that costs time and changes nothing.
    """

    __slots__ = ("_names", "_read", "_single", "keys", "own", "required", "told")

    def __init__(self, role: Role, own: int, getter: Callable[..., Getter], keys: Keys) -> None:
        self.own = own
        self.keys = keys
        self._names = tuple(field.name for field in role.by)
        self.required = tuple(not field.optional for field in role.by)
        #: whether keys are told apart: those of typed fields are compared in another form than the event's
        self.told = bool(self._names) and not any(name in role.rule.evaluator.types for name in self._names)
        self._read = getter(*self._names) if self.told else None
        self._single = len(self._names) == 1

    def is_open(self, event: Any, now_ns: int) -> bool:
        """Whether something may wait for this decoded event."""
        if now_ns > self.keys.latest_ns:
            return False
        if self._read is None:
            return now_ns <= self.keys.until(None, now_ns)
        key = self._read(event)
        return self._is_open((key,) if self._single else key, now_ns)

    def is_open_for(self, fields: Any, now_ns: int) -> bool:
        """Whether something may wait for an event with these fields, given as lists of values."""
        if now_ns > self.keys.latest_ns:
            return False
        if self._read is None:
            return now_ns <= self.keys.until(None, now_ns)
        values = [fields.get(name, ()) for name in self._names]
        if any(len(one) > 1 for one in values):
            return True
        return self._is_open(tuple(one[0] if one else None for one in values), now_ns)

    def _is_open(self, key: tuple[Any, ...], now_ns: int) -> bool:
        """Whether a key may be waited for; one that is none of texts alone may: its event is in no sequence without."""
        for value in key:
            if type(value) is not str:
                return not any(one is None and must for one, must in zip(key, self.required, strict=True))
        return now_ns <= self.keys.until(key, now_ns)

    def until(self, key: Key, now_ns: int) -> int:
        """Give until when the stage is open for a key; the earliest time there is if it is not."""
        return self.keys.until(self._texts(key), now_ns)

    def open(self, key: Key, until_ns: int, now_ns: int) -> None:
        """Open the stage for a key."""
        self.keys.open(self._texts(key), until_ns, now_ns)

    def open_text(self, text: str | Texts, until_ns: int, now_ns: int) -> None:
        """Open the stage for a key of texts, as it is read from events."""
        self.keys.open(((text,) if type(text) is str else text) if self.told else None, until_ns, now_ns)  # type: ignore[arg-type]

    def _texts(self, key: Key) -> Texts | None:
        """Give a key of texts as it is read from events; None for another one."""
        return texts_of(key) if self.told else None


def texts_of(key: Key) -> Texts | None:
    """Give the texts of a key that consists of nothing else."""
    texts: list[str] = []
    for kind, value, *_ in key:
        if kind != "str":
            return None
        texts.append(value)
    return tuple(texts)
