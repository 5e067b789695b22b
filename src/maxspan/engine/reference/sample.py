"""Samples: events that share keys, one per stage, in no order of time (section 8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeVar

from maxspan.engine.reference.condition import Evaluator
from maxspan.engine.reference.event import Event, FieldNames, Key, in_stage, key_order, keys_of
from maxspan.engine.reference.sequence import Found
from maxspan.languages import plan


class _HasPosition(Protocol):
    @property
    def position(self) -> int: ...


_Placed = TypeVar("_Placed", bound=_HasPosition)


def find_samples(
    query: plan.SampleQuery, events: Iterable[Event], names: FieldNames, evaluator: Evaluator, per_key: int
) -> list[Found]:
    """Find samples, keys in ascending order with nulls first, at most `per_key` of each.

    A key counts when every stage has an event with it; the events of a sample are all different.
    """
    buckets: list[dict[Key, list[Event]]] = [defaultdict(list) for _ in query.stages]
    for event in events:
        for bucket, stage in zip(buckets, query.stages, strict=True):
            if in_stage(event, stage, names, evaluator):
                for key in keys_of(event, query.keys(stage), evaluator):
                    bucket[key].append(event)
    shared = set(buckets[0]).intersection(*buckets[1:])
    found: list[Found] = []
    for key in sorted(shared, key=key_order):
        choices = [bucket[key] for bucket in buckets]
        found.extend(Found(chosen, key) for chosen in islice(distinct(choices), per_key))
    return found


def distinct(choices: Sequence[Sequence[_Placed]], chosen: tuple[_Placed, ...] = ()) -> Iterator[tuple[_Placed, ...]]:
    """Choose one event per stage, all different, in the order of the input, by backtracking."""
    if len(chosen) == len(choices):
        yield chosen
        return
    for event in choices[len(chosen)]:
        if all(event.position != other.position for other in chosen):
            yield from distinct(choices, (*chosen, event))
