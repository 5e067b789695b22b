"""Fixtures of the sensor's tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.sensor.bpf_watch import Watch

from maxspan.errors import SensorError


@pytest.fixture
def watching() -> Iterator[Callable[..., Watch]]:
    """Start BPF backends (skips where that cannot be), and stop them at the end."""
    started: list[Watch] = []

    def start(**options: Any) -> Watch:
        if os.geteuid() != 0:
            pytest.skip("loading BPF programs needs root")
        try:
            watch = Watch(**options)
        except SensorError as error:
            pytest.skip(f"this host cannot load the BPF programs: {str(error).splitlines()[0]}")
        started.append(watch)
        return watch

    yield start
    for watch in started:
        watch.backend.close()
