"""Small rule files for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maxspan.errors import Problem
from maxspan.rules.model import Rule, Ruleset
from maxspan.rules.parse import Contents, parse


def toml_rule(
    query: str = "process where true", *, id_: str = "rule-1", name: str = "A rule", head: str = "", tail: str = ""
) -> str:
    """Give a rule file; `head` goes among the keys of the rule, `tail` behind its query."""
    return f"""[metadata]
maturity = "production"

[rule]
rule_id = "{id_}"
name = "{name}"
type = "eql"
language = "eql"
severity = "high"
risk_score = 73
{head}
query = '''
{query}
'''
{tail}
"""


def kibana_rule(query: str = "process where true", **more: Any) -> dict[str, Any]:
    return {
        "id": "uuid",
        "rule_id": "rule-1",
        "name": "A rule",
        "type": "eql",
        "language": "eql",
        "severity": "high",
        "risk_score": 73,
        "query": query,
        **more,
    }


def parsed(text: str, path: str = "r.toml", *, named: bool = True) -> Contents:
    return parse(text.encode(), path, named=named)


def only_rule(contents: Contents | Ruleset) -> Rule:
    (rule,) = contents.rules
    return rule


def only_problem(contents: Contents | Ruleset) -> Problem:
    (problem,) = contents.problems
    return problem


def codes(contents: Contents | Ruleset) -> list[str]:
    return [problem.code for problem in contents.problems]


def underlined(problem: Problem) -> str:
    """Give the text that the problem underlines."""
    return problem.excerpt[problem.column - 1 : problem.column - 1 + problem.width]


def write(path: Path, content: str | bytes | object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path
