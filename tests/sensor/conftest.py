"""Fixtures of the sensor's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.sensor.bpf_watch import Watch

from maxspan.errors import SensorError
from maxspan.sensor.capabilities import require_host
from maxspan.sensor.libbpf import load_library
from maxspan.sensor.tracepoints import Tracepoints


@pytest.fixture
def watching() -> Iterator[Callable[..., Watch]]:
    """Start BPF backends (skips where that cannot be), and stop them at the end."""
    started: list[Watch] = []

    def start(**options: Any) -> Watch:
        try:
            require_host()
            load_library()
            with Tracepoints():
                pass
        except SensorError as error:
            pytest.skip(f"this host does not allow BPF: {error}")
        # From here on a failure is one of ours.
        watch = Watch(**options)
        started.append(watch)
        return watch

    yield start
    for watch in started:
        watch.backend.close()
