"""What events say of the host and of us: read once at the start, and ready as JSON."""

from __future__ import annotations

import ipaddress
import os
import platform
import re
import uuid
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.json import encode

from maxspan import __version__

ECS_VERSION: Final = "8.11.0"
NAMESPACE: Final = "default"
_ROOT: Final = Path("/")
_LOCAL_ADDRESS = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")


class Machine(Struct, frozen=True):
    """Facts of the host. `machine_id` and `boot_id` are 32 and 36 characters; `addresses` leave loopback out."""

    machine_id: str
    boot_id: str
    hostname: str
    architecture: str
    os: dict[str, Any]
    addresses: tuple[str, ...] = ()

    @property
    def host(self) -> dict[str, Any]:
        """Give `host` as events carry it."""
        return {
            "id": self.machine_id,
            "name": self.hostname,
            "hostname": self.hostname,
            "architecture": self.architecture,
            "ip": list(self.addresses),
            "os": self.os,
        }

    @property
    def agent(self) -> dict[str, Any]:
        """Give `agent`: the id is the same at every start on this machine, and does not tell the machine's own."""
        id_ = uuid.uuid5(uuid.NAMESPACE_OID, f"maxspan sensor {self.machine_id}")
        return {"id": str(id_), "type": "maxspan", "version": __version__}

    def suffix(self, dataset: str) -> bytes:
        """Give the members that all events of a dataset share, as `,"agent":{...},...` without the last brace."""
        shared = {
            "agent": self.agent,
            "data_stream": {"dataset": dataset, "namespace": NAMESPACE, "type": "logs"},
            "ecs": {"version": ECS_VERSION},
            "host": self.host,
        }
        return b"," + encode(shared)[1:-1]


def read_machine(root: Path = _ROOT) -> Machine:
    """Read the facts of this host; below `root` lie `etc`, `proc` and `sys` (for tests)."""
    name = os.uname().nodename if root == _ROOT else _text(root / "proc/sys/kernel/hostname")
    boot_id = _text(root / "proc/sys/kernel/random/boot_id") or "unknown"
    machine_id = (
        _text(root / "etc/machine-id")
        or _text(root / "var/lib/dbus/machine-id")
        or _text(root / "sys/class/dmi/id/product_uuid").replace("-", "").lower()
        or uuid.uuid5(uuid.NAMESPACE_DNS, name).hex
    )
    return Machine(machine_id, boot_id, name, platform.machine(), _os(root), _addresses(root))


def _os(root: Path) -> dict[str, Any]:
    release: dict[str, str] = {}
    for line in (_text(root / "etc/os-release") or _text(root / "usr/lib/os-release")).splitlines():
        key, equals, value = line.partition("=")
        if equals:
            release[key.strip()] = value.strip().strip("\"'")
    name = release.get("NAME", "Linux")
    version = release.get("VERSION_ID", "")
    id_ = release.get("ID", "linux")
    kernel = platform.release()
    return {
        "type": "linux",
        "name": name,
        "platform": id_,
        "family": (release.get("ID_LIKE") or id_).split()[0],
        "version": version,
        "full": release.get("PRETTY_NAME", name),
        "kernel": kernel,
        "Ext": {"variant": name.removesuffix(" GNU/Linux")},
    }


def _addresses(root: Path) -> tuple[str, ...]:
    """List the host's addresses from its routing tables, without loopback and link-local ones."""
    found = set(_LOCAL_ADDRESS.findall(_text(root / "proc/net/fib_trie")))
    found |= {
        str(ipaddress.IPv6Address(int(line.split()[0], 16)))
        for line in _text(root / "proc/net/if_inet6").splitlines()
        if line
    }
    addresses = [ipaddress.ip_address(address) for address in found]
    kept = [address for address in addresses if not address.is_loopback and not address.is_link_local]
    return tuple(str(address) for address in sorted(kept, key=lambda address: (address.version, int(address))))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
