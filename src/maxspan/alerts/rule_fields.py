"""The `kibana.alert.rule.*` fields: the rule as the alert carries it.

Source: https://www.elastic.co/guide/en/security/current/alert-schema.html
"""

from __future__ import annotations

from typing import Any, Final

from maxspan.alerts.fields import Document
from maxspan.rules.model import Rule

_PREFIX: Final = "kibana.alert.rule."
#: Rule type -> (rule type id, category) as Elastic Security registers them.
_TYPES: Final = {
    "eql": ("siem.eqlRule", "Event Correlation Rule"),
    "esql": ("siem.esqlRule", "ES|QL Rule"),
    "machine_learning": ("siem.mlRule", "Machine Learning Rule"),
    "new_terms": ("siem.newTermsRule", "New Terms Rule"),
    "query": ("siem.queryRule", "Custom Query Rule"),
    "saved_query": ("siem.savedQueryRule", "Saved Query Rule"),
    "threat_match": ("siem.indicatorRule", "Indicator Match Rule"),
    "threshold": ("siem.thresholdRule", "Threshold Rule"),
}


def rule_uuid(rule: Rule) -> str:
    """Give the id that stands for this installation of the rule: Kibana's own where it exported the rule."""
    own = rule.raw.get("id") if rule.format == "kibana" else None
    return own if isinstance(own, str) and own else rule.id


def rule_fields(rule: Rule, name: str) -> Document:
    """Give the `kibana.alert.rule.*` fields; `name` is the rule's name or what overrides it."""
    type_id, category = _TYPES.get(rule.type, (f"siem.{rule.type}Rule", rule.type))
    described = _described(rule)
    always = {_PREFIX + "name": name, _PREFIX + "uuid": rule_uuid(rule), _PREFIX + "rule_id": rule.id}
    fields: Document = {
        "category": category,
        "rule_type_id": type_id,
        "consumer": "siem",
        "producer": "siem",
        "type": rule.type,
        "enabled": rule.enabled,
        "interval": rule.interval,
        "tags": list(rule.tags),
        "indices": list(rule.index),
        "severity": rule.severity,
        "risk_score": rule.risk_score,
        "actions": [dict(item) for item in rule.actions],
        **described,
        "parameters": {**described, **_parameters(rule)},
    }
    return always | {_PREFIX + key: value for key, value in fields.items() if value not in ("", None)}


def _described(rule: Rule) -> Document:
    """Give what stands in the alert twice: as fields of its own and among the parameters."""
    fields: Document = {
        "description": rule.description,
        "author": list(rule.author),
        "license": rule.license,
        "version": rule.version,
        "from": rule.from_,
        "to": "now",
        "immutable": False,
        "max_signals": rule.max_signals,
        "note": rule.note,
        "building_block_type": rule.building_block_type,
        "false_positives": list(rule.false_positives),
        "references": list(rule.references),
        "threat": [entry.document() for entry in rule.threat],
        "exceptions_list": [dict(item) for item in rule.exceptions_list],
        "severity_mapping": [_severity_mapping(rule, at) for at in range(len(rule.severity_mapping))],
        "risk_score_mapping": [_risk_score_mapping(rule, at) for at in range(len(rule.risk_score_mapping))],
        "rule_name_override": rule.rule_name_override,
        "timestamp_override": rule.timestamp_override,
    }
    return {key: value for key, value in fields.items() if value not in ("", None)}


def _parameters(rule: Rule) -> Document:
    fields: Document = {
        "rule_id": rule.id,
        "type": rule.type,
        "language": rule.language,
        "query": rule.query,
        "index": list(rule.index),
        "filters": [dict(item) for item in rule.filters],
        "severity": rule.severity,
        "risk_score": rule.risk_score,
        "setup": rule.setup,
        "event_category_override": rule.event_category_override,
        "timestamp_field": "" if rule.timestamp_field == "@timestamp" else rule.timestamp_field,
        "tiebreaker_field": rule.tiebreaker_field,
    }
    return {key: value for key, value in fields.items() if value not in ("", None)}


def _severity_mapping(rule: Rule, at: int) -> dict[str, Any]:
    item = rule.severity_mapping[at]
    return {"field": item.field, "operator": item.operator, "value": item.value, "severity": item.severity}


def _risk_score_mapping(rule: Rule, at: int) -> dict[str, Any]:
    item = rule.risk_score_mapping[at]
    out: dict[str, Any] = {"field": item.field, "operator": item.operator, "value": item.value}
    return out if item.risk_score is None else {**out, "risk_score": item.risk_score}
