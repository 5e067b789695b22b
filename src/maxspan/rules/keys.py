"""The keys that rule files have, per format; any other key is worth a warning.

Sources: Elastic's detection rule schema (docs of the Detections API and of the detection-rules repository), and the
rule files themselves.
"""

from __future__ import annotations

from typing import Final


def _keys(words: str) -> frozenset[str]:
    return frozenset(words.split())


#: `[rule]` of a TOML file and a rule object of Kibana share these.
DETECTION: Final = _keys(
    """
    alert_suppression alias_purpose alias_target_id anomaly_threshold author building_block_type
    concurrent_searches data_view_id description enabled event_category_override exceptions_list false_positives filters
    from history_window_start index interval investigation_fields items_per_search language license
    machine_learning_job_id max_signals meta name namespace new_terms new_terms_fields note outcome output_index query
    references related_integrations required_fields response_actions risk_score risk_score_mapping rule_id
    rule_name_override rule_schedule rule_source saved_id setup severity severity_mapping tags threat threat_filters
    threat_index threat_indicator_path threat_language threat_mapping threat_query threshold throttle tiebreaker_field
    timeline_id timeline_title timestamp_field timestamp_override timestamp_override_fallback_disabled to type version
    """
)

#: What Kibana adds when it exports a rule or answers a request.
KIBANA: Final = DETECTION | _keys(
    """
    actions created_at created_by execution_summary id immutable revision updated_at updated_by
    """
)

METADATA: Final = _keys(
    """
    bypass_bbr_timing comments creation_date deprecation_date integration maturity min_stack_comments
    min_stack_version os_type_list promotion query_schema_validation related_endpoint_rules updated_date extended
    """
)

ELASTIC_FILE: Final = frozenset({"metadata", "rule", "transform"})
ENDPOINT_FILE: Final = frozenset({"actions", "internal", "optional_actions", "rule", "threat"})
ENDPOINT: Final = _keys(
    """
    actions description id license max_endpoint_version min_endpoint_version name optional_actions os_list query
    reference reputation version
    """
)

THREAT: Final = frozenset({"framework", "tactic", "technique"})
TECHNIQUE: Final = frozenset({"id", "name", "reference", "subtechnique"})
TACTIC: Final = frozenset({"id", "name", "reference"})
SEVERITY_MAPPING: Final = frozenset({"field", "operator", "severity", "value"})
RISK_SCORE_MAPPING: Final = frozenset({"field", "operator", "risk_score", "value"})

#: The types of rules that exist in Elastic Security, and the language of each where the file does not say.
TYPES: Final = {
    "eql": "eql",
    "esql": "esql",
    "machine_learning": "",
    "new_terms": "kuery",
    "query": "kuery",
    "saved_query": "kuery",
    "threat_match": "kuery",
    "threshold": "kuery",
}
