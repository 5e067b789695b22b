"""What goes wrong in the lab itself (not what a payload does)."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot be set up, or a machine of it does not do what it was told."""
