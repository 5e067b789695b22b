"""What the BPF backend needs of the host, asked before anything is loaded, so that the answer names the remedy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from maxspan.errors import SensorError

BTF: Final = Path("/sys/kernel/btf/vmlinux")
STATUS: Final = Path("/proc/self/status")

DAC_OVERRIDE, DAC_READ_SEARCH, SYS_ADMIN, PERFMON, BPF = 1, 2, 21, 38, 39
# Each need, and the capabilities of which one is enough.
NEEDS: Final = {
    "CAP_BPF": (BPF, SYS_ADMIN),
    "CAP_PERFMON": (PERFMON, SYS_ADMIN),
    "CAP_DAC_READ_SEARCH": (DAC_READ_SEARCH, DAC_OVERRIDE),
}


def effective_capabilities(status: Path = STATUS) -> int:
    """Give the effective capabilities of this process as a bit mask."""
    for line in status.read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def missing_capabilities(mask: int) -> list[str]:
    """Name those of the needed capabilities that `mask` does not grant."""
    return [name for name, enough in NEEDS.items() if not any(mask >> bit & 1 for bit in enough)]


def read_btf(path: Path = BTF) -> bytes:
    """Read the type information of the running kernel. Raises SensorError when there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SensorError(
            f"{path} is missing: this kernel was built without type information (CONFIG_DEBUG_INFO_BTF), which the BPF "
            "programs need; use a distribution kernel of 5.15 or newer, or --backend audit"
        ) from error
    except OSError as error:
        raise SensorError(f"{path} cannot be read ({error.strerror}); use --backend audit") from error


def require_host(mask: int | None = None, btf: Path = BTF) -> bytes:
    """Check the host and give the kernel's type information.

    `mask`: capabilities instead of this process's own. Raises SensorError that says what is missing and what helps."""
    if sys.byteorder != "little":
        raise SensorError("the BPF programs are built for little-endian machines; use --backend audit")
    missing = missing_capabilities(effective_capabilities() if mask is None else mask)
    if missing:
        raise SensorError(
            f"watching through BPF needs {', '.join(missing)}: run as root (sudo), or give the service "
            "AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_DAC_READ_SEARCH"
        )
    return read_btf(btf)
