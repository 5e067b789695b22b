"""What a backend cannot give, in the words of rules, and which rules can never fire without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from maxspan.languages import plan
from maxspan.rules.model import Rule

#: Fields of records (as backends name them) to the names of fields in events.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "exec.environment": ("process.env_vars",),
    "exec.descriptors": ("process.Ext.stdin", "process.Ext.stdout", "process.Ext.stderr"),
    "exec.image": ("process.hash.sha256",),
    "exit.signal": ("process.Ext.signal",),
    "open.image": ("file.size", "file.inode", "file.mode", "file.type"),
    "record.tid": ("process.thread.id",),
    "ids.capabilities": ("process.thread.capabilities.effective", "process.thread.capabilities.permitted"),
}
#: Kinds of records to the actions that only they bring.
_ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "fork": ("fork",),
    "exec": ("exec",),
    "exit": ("end",),
    "connect": ("connection_attempted",),
    "accept": ("connection_accepted",),
    "close": ("disconnect_received", "connection_failed"),
    "datagram": ("datagram_connected",),
    "open": ("modification",),
    "path": ("rename", "deletion"),
    "module": ("load_module",),
    "bpf": ("load_bpf_program",),
    "ids": ("uid_change", "gid_change", "session_id_change"),
}


class Gaps(Struct, frozen=True):
    """Fields that events never have, actions that no event has, and `reasons`: what is missing, and why."""

    fields: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    reasons: tuple[tuple[str, str], ...] = ()

    def lacks(self, field: str) -> bool:
        """True for a field that is always missing, itself or with all that holds it."""
        return any(field == name or field.startswith(f"{name}.") for name in self.fields)


def gaps_of(missing: Mapping[str, str]) -> Gaps:
    """Translate the `missing_fields` of a backend. A part of a kind only ("kind:detail") is told as a reason."""
    fields: set[str] = set()
    actions: set[str] = set()
    reasons: dict[str, list[str]] = {}
    for name, reason in missing.items():
        told = (*_FIELDS.get(name, ()), *_ACTIONS.get(name, ()))
        fields.update(_FIELDS.get(name, ()))
        actions.update(_ACTIONS.get(name, ()))
        kind, _, detail = name.partition(":")
        of_kind = (f"{detail} of {kind}",) if detail.startswith("/") else (kind,)
        reasons.setdefault(reason, []).extend(told or of_kind)
    grouped = ((", ".join(dict.fromkeys(names)), reason) for reason, names in reasons.items())
    return Gaps(frozenset(fields), frozenset(actions), tuple(grouped))


def cannot_fire(rules: Iterable[Rule], gaps: Gaps) -> list[Rule]:
    """Give the rules with a stage that no event can fulfil. Errs on the side of a rule that can."""
    return [rule for rule in rules if rule.plan is not None and not _possible(rule.plan, gaps)]


def _possible(query: plan.Query, gaps: Gaps) -> bool:
    return all(stage.missing or _outcomes(stage.where, gaps)[0] for stage in query.stages)


def _outcomes(node: plan.Condition, gaps: Gaps) -> tuple[bool, bool]:
    """Give whether a condition can be true, and whether it can be false."""
    match node:
        case plan.And(items=items):
            inner = [_outcomes(item, gaps) for item in items]
            return all(true for true, _ in inner), any(false for _, false in inner)
        case plan.Or(items=items):
            inner = [_outcomes(item, gaps) for item in items]
            return any(true for true, _ in inner), all(false for _, false in inner)
        case plan.Not(item=item):
            true, false = _outcomes(item, gaps)
            return false, true
        case plan.IsNull(operand=plan.Field(name=name), negated=negated) if gaps.lacks(name):
            return not negated, negated
        case plan.Literal() | plan.IsNull():
            return True, True
        case plan.ArraySearch() | plan.DescendantOf():
            return True, True
    if any(gaps.lacks(field.name) for field in plan.fields(node)):
        return False, True  # null is contagious: a leaf over a missing field is false
    actions = _demanded_actions(node)
    return (False, True) if actions and actions <= gaps.actions else (True, True)


def _demanded_actions(node: plan.Condition) -> frozenset[str]:
    """Give the values of `event.action` of which a leaf demands one; empty where it demands none, or patterns."""
    match node:
        case plan.Comparison(op="==", left=plan.Field(name="event.action"), right=plan.Literal(value=str() as value)):
            return frozenset({value})
        case plan.In(operand=plan.Field(name="event.action"), values=values):
            return frozenset(str(value.value) for value in values)
        case plan.Like(operand=plan.Field(name="event.action"), patterns=patterns):
            plain = not any("*" in pattern or "?" in pattern for pattern in patterns)
            return frozenset(patterns) if plain else frozenset()
    return frozenset()
