"""Rule files become a rule set: everything that is there, and everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from maxspan.errors import Problem
from maxspan.rules import files
from maxspan.rules.files import PathLike
from maxspan.rules.model import Rule, Ruleset
from maxspan.rules.parse import Contents, parse

_SHIPPED: Final = Path(__file__).resolve().parent.parent / "shipped_rules"


def shipped_rules_path() -> Path:
    """Give the folder of the rules that come with the package."""
    return _SHIPPED


def load_rules(paths: PathLike | Iterable[PathLike] | None = None) -> Ruleset:
    """Read all rules behind `paths`: a file, a folder, a glob or several of them; None is the shipped rules.

    Nothing is raised for what is wrong with a file or a rule: see `Ruleset.problems`, and `Rule.not_runnable` of the
    rules that came out of it. Of several rules with one id, the first runs.
    """
    if paths is None:
        paths = shipped_rules_path()
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found, problems = files.find(given)
    rules: list[Rule] = []
    for file in found:
        contents = _contents(file)
        rules.extend(contents.rules)
        problems.extend(contents.problems)
    rules, duplicates = _without_duplicates(rules)
    return Ruleset(tuple(rules), (*problems, *duplicates), len(found))


def _contents(file: files.RuleFile) -> Contents:
    data = files.read(file.path)
    if isinstance(data, Problem):
        return Contents(problems=[data])
    return parse(data, file.path, named=file.named)


def _without_duplicates(rules: list[Rule]) -> tuple[list[Rule], list[Problem]]:
    """Let only the first rule of an id run; the others stay in the list and are warned about."""
    first: dict[str, Rule] = {}
    out: list[Rule] = []
    problems: list[Problem] = []
    for rule in rules:
        known = first.setdefault(rule.id, rule)
        if known is not rule:
            same = " and the same query" if known.query == rule.query else ""
            message = f"the id {rule.id} is already that of {known.name!r} in {known.path}"
            hint = f"the first one runs, this one does not{'; it has the same query' if same else ''}"
            problems.append(
                Problem("duplicate-id", message, "warning", rule.path, hint=hint, rule_id=rule.id, rule_name=rule.name)
            )
            rule = replace(rule, not_runnable=f"its id is already that of a rule in {known.path}")
        out.append(rule)
    return out, problems
