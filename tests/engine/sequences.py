"""Rules and events that meet often: few categories, hosts and users, times close together."""

from __future__ import annotations

import json
import random

from hypothesis import strategies as st

from maxspan.languages import plan
from maxspan.rules.model import Rule

SECOND = 10**9
START = 1_714_557_600_000


def queries() -> st.SearchStrategy[plan.Query]:
    """Give queries over the categories a, b and c: mostly sequences by host, user, both or neither."""
    return st.builds(_query, st.integers(0, 2**32))


def _query(seed: int) -> plan.Query:
    chance = random.Random(seed)
    kind = chance.choice(["sequence"] * 8 + ["event", "sample"])
    by = chance.choice([("host.id",), ("host.id",), ("host.id", "user.id"), ("user.id",), ()])
    keys = tuple(plan.Field(name, name == "user.id" and chance.random() < 0.5) for name in by)
    if kind == "event":
        pipes = (plan.Pipe(chance.choice(["head", "tail"]), 2),) if chance.random() < 0.5 else ()  # type: ignore[arg-type]
        return plan.EventQuery(plan.Stage(chance.choice("abc"), plan.TRUE), pipes)
    if kind == "sample":
        both = tuple(plan.Stage(chance.choice("abc"), plan.TRUE) for _ in range(2))
        return plan.SampleQuery(keys or (plan.Field("host.id"),), both)
    stages = tuple(
        plan.Stage(chance.choice("abc"), plan.TRUE, runs=chance.choice([1, 1, 1, 2]))
        for _ in range(chance.choice([2, 3, 3, 4]))
    )
    maxspan = chance.choice([1, 2, 5, 5, 5, None])
    if maxspan and chance.random() < 0.15:
        place = chance.randint(0, len(stages))
        absent = plan.Stage(chance.choice("abc"), plan.TRUE, missing=True)
        stages = (*stages[:place], absent, *stages[place:])
    until = plan.Stage(chance.choice("abcd"), plan.TRUE) if chance.random() < 0.3 else None
    return plan.SequenceQuery(keys, stages, maxspan and maxspan * SECOND, until)


def rules_of(made: list[plan.Query]) -> list[Rule]:
    return [Rule(id=str(number), name=str(number), type="eql", plan=query) for number, query in enumerate(made)]


def lines(*, most: int = 60, disorder: bool = True) -> st.SearchStrategy[list[bytes]]:
    """Give events as lines of JSON, most of the time in order; some may be unreadable, blank or undated."""
    disordered = st.sampled_from([False, False, True]) if disorder else st.just(False)
    return st.builds(_lines, st.integers(0, 2**32), st.integers(most // 3, most), disordered)


def _lines(seed: int, count: int, disorder: bool) -> list[bytes]:
    chance = random.Random(seed)
    now = START
    slow = chance.choice([1, 1, 3])
    hosts = chance.choice([["x"], ["x", "y"], ["x", "x", "x", "y", None, ["x", "y"]]])
    users = chance.choice([["u"], ["u", "v"], ["u", "u", "v", None]])
    odd = chance.choice([0.0, 0.0, 0.1])
    backwards = chance.choice([0.0, 0.05])
    out: list[bytes] = []
    for number in range(count):
        step = slow * chance.choice([0, 1, 100, 400, 1000, 1500])
        now += -step if disorder and chance.random() < backwards else step
        document = {
            "@timestamp": None if chance.random() < odd / 3 else now,
            "event": {
                "category": chance.choice(["a", "b", "c", "d", ["a", "b"]]),
                "sequence": chance.choice([None, 1, 2]),
            },
            "host": {"id": chance.choice(hosts)},
            "user": {"id": chance.choice(users)},
            "n": number,
        }
        broken = chance.random() < odd
        out.append(chance.choice([b"{ broken", b""]) if broken else json.dumps(document).encode())
    middle = chance.randrange(count + 1) if disorder and chance.random() < 0.5 else 0
    return out[middle:] + out[:middle]
