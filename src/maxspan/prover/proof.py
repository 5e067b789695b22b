"""What is known of a rule after the attempt to make it fire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from maxspan.prover.events import Draft, documents
from maxspan.prover.samples import Scalar
from maxspan.rules.model import Rule

Kind: TypeAlias = Literal["category", "condition", "key", "maxspan", "order", "absence", "until", "stage"]
Status: TypeAlias = Literal["fires", "impossible", "not proved"]


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one event (from 0) that differs from the events that fire; missing values are an empty tuple."""

    event: int
    field: str
    before: tuple[Scalar, ...]
    after: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class NearMiss:
    """Events that differ from those that fire in one thing, and do not fire.

    `breaks` says in the query's words what is not so any more; `stage` counts the stages that need an event from 0.
    `changes` is empty for a near miss that adds, drops or moves events: `breaks` then says which.
    """

    kind: Kind
    stage: int
    breaks: str
    events: tuple[Draft, ...]
    changes: tuple[Change, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Give how far it is from firing: the number of changed fields, then of changed characters."""
        if not self.changes:
            return (2, 0)
        return (len(self.changes), sum(_distance(change.before, change.after) for change in self.changes))


@dataclass(frozen=True, slots=True)
class Variant:
    """Events that fire (`fires`) or must not, because of one alternative of the query; `text` is that alternative."""

    fires: bool
    stage: int
    text: str
    events: tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """The outcome for one rule.

    `fires`: the events are those that make it fire, `matches` how often they do. `impossible`: it is certain that no
    event can, and `why` shows what excludes what. `not proved`: nothing was found; `why` says where the search ended.

    `near_misses` do not fire, by the reference. `wrong` are those that ought not to and do. `implied` are conditions
    that cannot fail while all others hold, so that they are of no effect; `unbroken` those for which no near miss was
    found; `taken_over` what can be broken in one event and fires all the same, as the events fit each other's stages;
    `variants` are there when they were asked for. `notes` are for the author of the rule.
    """

    rule: Rule
    status: Status
    why: str = ""
    events: tuple[Draft, ...] = ()
    matches: int = 0
    near_misses: tuple[NearMiss, ...] = ()
    wrong: tuple[NearMiss, ...] = ()
    implied: tuple[str, ...] = ()
    unbroken: tuple[str, ...] = ()
    taken_over: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def nearest(self) -> NearMiss | None:
        """Give the near miss with the smallest change."""
        return min(self.near_misses, key=lambda miss: miss.size, default=None)

    @property
    def complete(self) -> bool:
        """Whether it fires and every near miss was found and is right."""
        return self.status == "fires" and not self.wrong and not self.unbroken

    def lines(self, events: Sequence[Draft]) -> bytes:
        """Write events of this proof as lines of JSON."""
        rule = self.rule
        return documents(events, timestamp=rule.timestamp_field, tiebreaker=rule.tiebreaker_field or "event.sequence")


def changes_between(before: Sequence[Draft], after: Sequence[Draft]) -> tuple[Change, ...]:
    """Give the fields that differ between events at the same places, times left out."""
    out: list[Change] = []
    for number, (old, new) in enumerate(zip(before, after, strict=False)):
        for name in sorted({*old.fields, *new.fields}):
            left, right = tuple(old.fields.get(name, ())), tuple(new.fields.get(name, ()))
            if [*map(repr, left)] != [*map(repr, right)]:
                out.append(Change(number, name, left, right))
    return tuple(out)


def _distance(before: Sequence[Scalar], after: Sequence[Scalar]) -> int:
    """Give the number of characters that differ once what is equal at both ends is taken away; absence costs more."""
    left, right = (" ".join(map(str, values)) for values in (before, after))
    if not before or not after:
        return 100 + len(left) + len(right)
    while left and right and left[0] == right[0]:
        left, right = left[1:], right[1:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    return max(len(left), len(right))
