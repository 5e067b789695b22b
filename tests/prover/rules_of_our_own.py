"""Small rules, made here, for the prover to work on."""

from __future__ import annotations

from maxspan.languages.eql import parse
from maxspan.rules.model import Rule


def rule(query: str, *, index: tuple[str, ...] = (), id_: str = "a-rule", name: str = "A rule") -> Rule:
    """Make a runnable rule of a query."""
    return Rule(id=id_, name=name, type="eql", language="eql", query=query, plan=parse(query), index=index)
