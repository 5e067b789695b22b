"""Ordinary work that must not alert: what servers and their administrators do all day, run for real."""

from __future__ import annotations

from lab.activity import ACTIVITIES
from lab.benign import packages, scheduled, servers, ssh

__all__ = ["ACTIVITIES", "packages", "scheduled", "servers", "ssh"]
