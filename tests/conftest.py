"""Settings of all tests: timing never decides one, and continuous integration draws the same examples every time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("maxspan", deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("maxspan"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "maxspan")
