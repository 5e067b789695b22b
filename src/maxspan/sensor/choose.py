"""Which backend watches this host: BPF where it works, else the audit subsystem, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from maxspan.errors import SensorError
from maxspan.sensor.backend import Backend

Choice = Literal["auto", "bpf", "audit"]
CHOICES: Final[tuple[Choice, ...]] = ("auto", "bpf", "audit")


def open_backend(
    choice: Choice,
    *,
    watched: Sequence[str],
    environment: Sequence[str] = (),
    hurry: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> Backend:
    """Give a backend that has begun to watch. Under "auto", `tell` gets the reason why BPF is not possible.
    `hurry`: programs that were never seen are handed out at once (where the backend does not do that anyway).

    Raises SensorError with the remedy when there is none."""
    if choice == "audit":
        return _started(_audit(watched))
    try:
        return _started(_bpf(watched, environment, hurry))
    except SensorError as error:
        if choice == "bpf":
            raise
        reason = str(error)
    tell(f"BPF is not possible here: {reason}")
    try:
        backend = _started(_audit(watched))
    except SensorError as error:
        raise SensorError(f"neither BPF nor audit can watch this host\n  bpf: {reason}\n  audit: {error}") from error
    tell("watching through the audit subsystem instead")
    return backend


def _started(backend: Backend) -> Backend:
    try:
        backend.start()
    except SensorError:
        backend.close()
        raise
    return backend


def _bpf(watched: Sequence[str], environment: Sequence[str], hurry: bool) -> Backend:
    from maxspan.sensor.bpf_backend import BpfBackend

    return BpfBackend(watched=watched, environment=environment, hurry=hurry)


def _audit(watched: Sequence[str]) -> Backend:
    from maxspan.sensor.audit.backend import AuditBackend

    return AuditBackend(watched=watched)
