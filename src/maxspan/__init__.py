"""maxspan: run Elastic's detection rules anywhere, with no Elasticsearch.

    import maxspan

    rules = maxspan.load_rules("rules/")
    for alert in maxspan.scan(rules, "logs/*.ndjson"):
        print(alert["kibana.alert.reason"])

The names below are the public API; everything else may change. They are imported when they are first used, so that
importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maxspan.api import evaluate, load_rules, parse, query, scan
    from maxspan.engine.match import Match
    from maxspan.errors import (
        MaxspanError,
        Problem,
        QueryError,
        RuleError,
        SensorError,
        SinkError,
        SourceError,
        UsageError,
    )
    from maxspan.rules.model import Rule, Ruleset

__version__ = "0.1.0"

__all__ = [
    "Match",
    "MaxspanError",
    "Problem",
    "QueryError",
    "Rule",
    "RuleError",
    "Ruleset",
    "SensorError",
    "SinkError",
    "SourceError",
    "UsageError",
    "__version__",
    "evaluate",
    "load_rules",
    "parse",
    "query",
    "scan",
]

_HOMES = {
    **dict.fromkeys(("evaluate", "load_rules", "parse", "query", "scan"), "maxspan.api"),
    **dict.fromkeys(("Rule", "Ruleset"), "maxspan.rules.model"),
    "Match": "maxspan.engine.match",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'maxspan' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "maxspan.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
