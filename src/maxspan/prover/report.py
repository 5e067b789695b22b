"""A proof as a document, and in the words of one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maxspan.languages.eql.printer import format_constant
from maxspan.prover.proof import Change, NearMiss, Proof


def document(proof: Proof) -> dict[str, Any]:
    """Give a proof as plain data for JSON; stages and events count from 1, missing values are empty lists."""
    nearest = proof.nearest
    return {
        "rule_id": proof.rule.id,
        "name": proof.rule.name,
        "path": proof.rule.path,
        "status": proof.status,
        "why": proof.why,
        "matches": proof.matches,
        "events": len(proof.events),
        "nearest": near_miss_document(nearest) if nearest is not None else None,
        "near_misses": len(proof.near_misses),
        "variants": len(proof.variants),
        "wrong": [near_miss_document(miss) for miss in proof.wrong],
        "without_effect": list(proof.implied),
        "unbroken": list(proof.unbroken),
        "taken_over": list(proof.taken_over),
        "notes": list(proof.notes),
        "seconds": round(proof.seconds, 3),
    }


def near_miss_document(miss: NearMiss) -> dict[str, Any]:
    """Give what a near miss breaks as plain data; the events themselves are not in it."""
    return {
        "kind": miss.kind,
        "stage": miss.stage + 1,
        "breaks": miss.breaks,
        "changes": [
            {
                "event": change.event + 1,
                "field": change.field,
                "before": list(change.before),
                "after": list(change.after),
            }
            for change in miss.changes
        ],
    }


def near_miss_line(miss: NearMiss, proof: Proof) -> str:
    """Say in one line what differs from the events that fire."""
    if not miss.changes:
        return miss.breaks
    several = len(proof.events) > 1
    return "; ".join(
        f"event {change.event + 1}: {_change(change)}" if several else _change(change) for change in miss.changes
    )


def outcome_line(proof: Proof) -> str:
    """Say in one line whether a rule fires, and if not, why."""
    if proof.status != "fires":
        return f"{proof.status}: {proof.why}"
    count = len(proof.events)
    events = "1 event" if count == 1 else f"{count} events"
    return f"fires on {events}" if proof.matches == 1 else f"fires {proof.matches} times on {events}"


def remarks(proof: Proof) -> list[str]:
    """Give what the author of a rule should know about it, one line each."""
    out = list(proof.notes)
    out += [f"has no effect, the other conditions imply it: {text}" for text in proof.implied]
    out += [f"no near miss was found for: {text}" for text in proof.unbroken]
    out += [f"fires all the same, its events fit each other's stages: {text}" for text in proof.taken_over]
    out += [f"fires all the same with this broken: {miss.breaks}" for miss in proof.wrong]
    return out


def _change(change: Change) -> str:
    return f"{change.field}: {_values(change.before)} -> {_values(change.after)}"


def _values(values: Sequence[str | int | float | bool]) -> str:
    return ", ".join(map(format_constant, values)) or "(missing)"
