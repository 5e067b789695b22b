"""Behaviour rules of Elastic Endpoint: `id`, `os_list`, `actions`, `threat` in a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maxspan.rules import attributes, keys
from maxspan.rules.model import Rule
from maxspan.rules.table import Table


def looks_like_endpoint(document: Mapping[str, Any]) -> bool:
    """Tell whether a TOML file is a behaviour rule: it has `rule.id` where a detection rule has `rule.rule_id`."""
    rule = document.get("rule")
    return isinstance(rule, dict) and "rule_id" not in rule and ("os_list" in rule or "id" in rule)


def endpoint_rule(document: Table) -> Rule | None:
    """Read a behaviour rule file; None (and a complaint) where it has no name or id.

    The files state no severity; an alert gets medium (47), which is what Elastic Security gives to behaviour alerts
    that were detected and not prevented. Source: Elastic's promotion rule "Behavior - Detected - Elastic Defend".
    """
    document.check_keys(keys.ENDPOINT_FILE, where="the file")
    table = document.table("rule")
    if table is None:
        return None
    table.check_keys(keys.ENDPOINT, where="rule")
    id_, name = table.required_text("id"), table.required_text("name")
    if not (id_ and name):
        return None
    version = table.values.get("version")
    systems = tuple(system.lower() for system in table.texts("os_list"))
    return Rule(
        id=id_,
        name=name,
        type="eql",
        language="eql",
        query=table.text("query"),
        severity="medium",
        risk_score=47,
        description=table.text("description").strip(),
        threat=attributes.threats(document),
        os=systems,
        references=table.texts("reference"),
        author=("Elastic",) if table.text("license").startswith("Elastic") else (),
        license=table.text("license"),
        version=version if isinstance(version, int) and not isinstance(version, bool) else table.text("version", "1"),
        actions=document.raw_tables("actions") or table.raw_tables("actions"),
        optional_actions=document.raw_tables("optional_actions") or table.raw_tables("optional_actions"),
        format="endpoint",
        raw=document.values,
    )
