"""Detection rules of Elastic Security: the `[rule]` table of a TOML file, and the object that Kibana exports."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from maxspan.rules import attributes, keys
from maxspan.rules.complaints import Complaint
from maxspan.rules.model import Format, Rule
from maxspan.rules.table import Table

_OS_TAG = "os: "


def looks_like_detection(values: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is a rule, rather than an exception item, a connector or an event."""
    return "rule_id" in values or ("risk_score" in values and "type" in values)


def elastic_rule(document: Table) -> Rule | None:
    """Read an Elastic rule file; None (and a complaint) where it has no name, id or type."""
    document.check_keys(keys.ELASTIC_FILE, where="the file")
    metadata = document.table("metadata")
    if metadata is not None:
        metadata.check_keys(keys.METADATA, where="metadata")
        if metadata.text("maturity").strip().lower() == "deprecated":
            message = "the rule is deprecated; it runs all the same"
            metadata.complain(Complaint("deprecated-rule", message, "warning", (*metadata.at, "maturity"), True))
    rule = document.table("rule")
    return None if rule is None else _rule(rule, "elastic", document.values)


def kibana_rule(rule: Table) -> Rule | None:
    """Read a rule object of Kibana; None (and a complaint) where it has no name, id or type."""
    return _rule(rule, "kibana", rule.values)


def _rule(table: Table, origin: Format, raw: Mapping[str, Any]) -> Rule | None:
    table.check_keys(keys.KIBANA if origin == "kibana" else keys.DETECTION, where="rule")
    id_, name, type_ = (table.required_text(key) for key in ("rule_id", "name", "type"))
    if not (id_ and name and type_):
        return None
    if type_ not in keys.TYPES:
        _unknown_type(table, type_)
    suppression = table.table("alert_suppression")
    tags = table.texts("tags")
    return Rule(
        id=id_,
        name=name,
        type=type_,
        language=table.text("language", keys.TYPES.get(type_, "")),
        query=table.text("query"),
        severity=attributes.severity(table),
        risk_score=attributes.risk_score(table),
        description=table.text("description").strip(),
        note=table.text("note").strip(),
        setup=table.text("setup").strip(),
        index=table.texts("index"),
        tags=tags,
        threat=attributes.threats(table),
        os=tuple(tag[len(_OS_TAG) :].strip().lower() for tag in tags if tag.lower().startswith(_OS_TAG)),
        from_=attributes.duration(table, "from", "now-6m"),
        interval=attributes.duration(table, "interval", "5m"),
        timestamp_override=table.text("timestamp_override"),
        timestamp_field=table.text("timestamp_field") or "@timestamp",
        tiebreaker_field=table.text("tiebreaker_field"),
        event_category_field=table.text("event_category_field"),
        event_category_override=table.text("event_category_override"),
        severity_mapping=attributes.severity_mappings(table),
        risk_score_mapping=attributes.risk_score_mappings(table),
        rule_name_override=table.text("rule_name_override"),
        building_block_type=table.text("building_block_type"),
        false_positives=table.texts("false_positives"),
        references=table.texts("references"),
        author=table.texts("author"),
        license=table.text("license"),
        version=table.integer("version", 1),
        enabled=table.truth("enabled", True),
        max_signals=table.integer("max_signals", 100),
        exceptions_list=table.raw_tables("exceptions_list"),
        filters=table.raw_tables("filters"),
        actions=table.raw_tables("actions"),
        alert_suppression=None if suppression is None else suppression.values,
        investigation_fields=_investigation_fields(table),
        format=origin,
        raw=raw,
    )


def _investigation_fields(table: Table) -> tuple[str, ...]:
    if isinstance(table.values.get("investigation_fields"), list):  # Kibana before 8.11
        return table.texts("investigation_fields")
    fields = table.table("investigation_fields")
    return fields.texts("field_names") if fields is not None else ()


def _unknown_type(table: Table, type_: str) -> None:
    close = get_close_matches(type_[:64], keys.TYPES, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"one of {', '.join(sorted(keys.TYPES))}"
    message = f"there is no rule type {type_[:64]!r}"
    table.complain(Complaint("unknown-rule-type", message, at=(*table.at, "type"), of_value=True, hint=hint))
