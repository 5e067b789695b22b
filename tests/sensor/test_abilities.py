"""What a backend cannot give, and which rules that silences: never one that can still fire."""

from __future__ import annotations

import pytest

from maxspan.languages import eql
from maxspan.rules.load import load_rules
from maxspan.rules.model import Rule
from maxspan.sensor.abilities import cannot_fire, gaps_of
from maxspan.sensor.audit.backend import MISSING_FIELDS

GAPS = gaps_of(MISSING_FIELDS)


def silent(query: str) -> bool:
    rule = Rule(id="r", name="r", type="eql", language="eql", query=query, plan=eql.parse(query))
    return bool(cannot_fire([rule], GAPS))


@pytest.mark.parametrize(
    "query",
    [
        'process where event.action == "load_module"',
        'process where event.action in ("uid_change", "gid_change") and user.id == "0"',
        'process where event.action : "uid_change"',
        'process where process.env_vars : "LD_PRELOAD=*"',
        "process where process.env_vars != null",
        'process where not process.env_vars == null and process.name == "x"',
        'sequence by host.id [process where true] [network where event.action == "disconnect_received"]',
        'process where process.name == "x" and (process.env_vars : "A*" or event.action == "load_module")',
        "process where length(process.env_vars) > 5",
    ],
)
def test_rules_that_can_never_fire(query: str) -> None:
    assert silent(query)


@pytest.mark.parametrize(
    "query",
    [
        'process where event.action in ("exec", "uid_change")',
        'process where event.action : "*_change"',
        'process where event.action != "load_module"',
        'process where not process.env_vars : "A*"',
        "process where process.env_vars == null",
        'process where process.env_vars : "A*" or process.name == "x"',
        'sequence by host.id with maxspan=1s [process where true] ![process where event.action == "load_module"]',
        'sequence by host.id [process where true] [process where true] until [process where process.env_vars : "A*"]',
        "any where true",
    ],
)
def test_rules_that_still_can(query: str) -> None:
    assert not silent(query)


def test_nothing_is_missing_where_nothing_is_missing() -> None:
    assert cannot_fire(load_rules().runnable, gaps_of({})) == []


def test_the_rules_of_the_package_can_all_fire_through_audit() -> None:
    assert cannot_fire(load_rules().runnable, GAPS) == []


def test_one_reason_is_told_once_for_all_that_it_concerns() -> None:
    gaps = gaps_of({"open:32-bit": "no", "path:32-bit": "no", "exec.environment": "never told", "open:/x/y": "gone"})
    assert gaps.reasons == (("open, path", "no"), ("process.env_vars", "never told"), ("/x/y of open", "gone"))
    assert gaps.actions == frozenset()
    assert gaps.lacks("process.env_vars")
    assert not gaps.lacks("process.name")
