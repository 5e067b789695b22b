"""Choosing rules out of a set, and what rules have in common."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from maxspan.rules.model import Rule, Ruleset


@dataclass(frozen=True, slots=True)
class Selection:
    """Wishes for rules: of several values for one thing any fits, of several things all must. Letter case is ignored.

    `tags` may hold `*` and `?`; `tactics` are names or ids; a technique includes its sub-techniques; `systems` are
    linux, macos, windows and the like. `runnable` None means either.
    """

    types: Sequence[str] = ()
    severities: Sequence[str] = ()
    tags: Sequence[str] = ()
    tactics: Sequence[str] = ()
    techniques: Sequence[str] = ()
    systems: Sequence[str] = ()
    runnable: bool | None = None

    def fits(self, rule: Rule) -> bool:
        """Tell whether the rule fulfils all wishes."""
        tactics = {name.casefold() for entry in rule.threat for name in (entry.tactic_id, entry.tactic_name)}
        return (
            (self.runnable is None or self.runnable is rule.runnable)
            and _any(self.types, lambda wish: wish == rule.type.casefold())
            and _any(self.severities, lambda wish: wish == rule.severity)
            and _any(self.tactics, lambda wish: wish.replace("-", " ").replace("_", " ") in tactics)
            and _any(self.systems, lambda wish: wish in rule.os)
            and _any(self.techniques, lambda wish: any(_below(id_, wish) for id_ in rule.technique_ids))
            and _any(self.tags, lambda wish: any(fnmatch.fnmatchcase(tag.casefold(), wish) for tag in rule.tags))
        )


def _any(wishes: Sequence[str], holds: Callable[[str], bool]) -> bool:
    return not wishes or any(holds(wish.strip().casefold()) for wish in wishes)


def _below(id_: str, wish: str) -> bool:
    id_ = id_.casefold()
    return id_ == wish or id_.startswith(f"{wish}.")


def related(rule: Rule, rules: Iterable[Rule], count: int = 5) -> list[tuple[Rule, list[str]]]:
    """Give the rules that have most in common with `rule`, each with what that is: techniques, then tags.

    A technique counts as much as three tags, and what few rules have counts more than what most have.
    """
    others = [other for other in rules if other.id != rule.id]
    mine = _marks(rule)
    frequency = Counter(mark for other in others for mark in _marks(other).keys() & mine.keys())
    scored = []
    for other in others:
        shared = [mark for mark in mine if mark in _marks(other)]
        score = sum(mine[mark] * (1 - frequency[mark] / (len(others) + 1)) for mark in shared)
        if score > 0:
            scored.append((-score, other.name, other.id, other, shared))
    return [(other, shared) for *_, other, shared in sorted(scored, key=lambda item: item[:3])[:count]]


def _marks(rule: Rule) -> dict[str, int]:
    return {**dict.fromkeys(rule.technique_ids, 3), **dict.fromkeys(rule.tags, 1)}


def look_up(ruleset: Ruleset, text: str) -> list[Rule]:
    """Find rules by id, by name, or else by a part of the name; empty where none fits."""
    exact = ruleset.get(text)
    if exact is not None:
        return [exact]
    wanted = text.strip().casefold()
    return [rule for rule in ruleset if wanted and wanted in rule.name.casefold()]


def suggestions(ruleset: Ruleset, text: str) -> list[str]:
    """Give names and ids that are close to a text that fits none."""
    names = {rule.name.casefold(): rule.name for rule in ruleset}
    close = get_close_matches(text[:200].casefold(), names, n=3, cutoff=0.6)
    return [names[name] for name in close] or get_close_matches(text[:64], [rule.id for rule in ruleset], n=1)
