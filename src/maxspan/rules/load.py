"""Rule files become a rule set: everything that is there, and everything that is wrong with it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from maxspan.errors import Problem
from maxspan.rules import files
from maxspan.rules.cache import RuleCache
from maxspan.rules.complaints import Complaint, JsonText, Locator, TomlText
from maxspan.rules.files import PathLike
from maxspan.rules.model import Rule, Ruleset
from maxspan.rules.parse import plain_text

_SHIPPED: Final = Path(__file__).resolve().parent.parent / "shipped_rules"  # a link to rules/ in a checkout

#: Begin of the reason why a rule does not run next to another one.
SAME_ID: Final = "its id is also that of another rule"


def shipped_rules_path() -> Path:
    """Give the folder of the rules that come with the package."""
    return _SHIPPED.resolve()


def load_rules(paths: PathLike | Iterable[PathLike] | None = None) -> Ruleset:
    """Read all rules behind `paths`: a file, a folder, a glob or several of them; None is the shipped rules.

    Nothing is raised for what is wrong with a file or a rule: see `Ruleset.problems`, and `Rule.not_runnable` of the
    rules that came out of it. Of several rules with one id, the first that can run does.
    """
    if paths is None:
        paths = shipped_rules_path()
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found, problems = files.find(given)
    rules: list[Rule] = []
    cache = RuleCache()
    with _without_garbage_collection():
        for file in found:
            contents = cache.contents(file)
            rules.extend(contents.rules)
            problems.extend(contents.problems)
    cache.close()
    rules, duplicates = without_duplicates(rules)
    return Ruleset(tuple(rules), (*problems, *duplicates), len(found), tuple(cache.notes))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Spare the collector the many objects that all stay: it would look at them over and over."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def without_duplicates(rules: list[Rule]) -> tuple[list[Rule], list[Problem]]:
    """Let only one rule of an id run, the first that can; the others stay in the list and are warned about."""
    chosen: dict[str, Rule] = {}
    for rule in rules:
        known = chosen.setdefault(rule.id, rule)
        if rule.runnable and not known.runnable:
            chosen[rule.id] = rule
    out: list[Rule] = []
    problems: list[Problem] = []
    for rule in rules:
        other = chosen[rule.id]
        if other is not rule:
            problems.append(_duplicate(rule, other))
            if rule.runnable:
                rule = replace(rule, not_runnable=f"{SAME_ID}: {other.name!r} in {other.path}")
        out.append(rule)
    return out, problems


def _duplicate(rule: Rule, other: Rule) -> Problem:
    query = "the same query" if other.query == rule.query else "another query"
    message = f"the id {rule.id} is also that of {other.name!r} in {other.path}, which has {query}"
    hint = "only one of them runs, the other one; give this rule an id of its own or remove it"
    at = {"endpoint": ("rule", "id"), "elastic": ("rule", "rule_id"), "kibana": ("rule_id",)}[rule.format]
    complaint = Complaint("duplicate-id", message, "warning", at, of_value=True, hint=hint)
    problem = _locator(rule).problem(complaint)
    return replace(problem, rule_id=rule.id, rule_name=rule.name)


def _locator(rule: Rule) -> Locator:
    if rule.format != "kibana":
        data = files.read(rule.path)
        if isinstance(data, bytes):
            return TomlText(rule.path, plain_text(data))
    return JsonText(rule.path, rule.line)
