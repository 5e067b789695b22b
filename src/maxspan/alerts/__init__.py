"""Matches become alerts: documents as Elastic Security writes them, with ids by content."""

from maxspan.alerts.build import Alert, build_alerts
from maxspan.alerts.encode import to_json, to_safe_json
from maxspan.alerts.group import AlertGroup, group_of
from maxspan.alerts.printable import printable

__all__ = ["Alert", "AlertGroup", "build_alerts", "group_of", "printable", "to_json", "to_safe_json"]
