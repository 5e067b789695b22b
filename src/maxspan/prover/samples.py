"""Values that look like those of real events, by the name of the field; and small changes to a value.

Addresses and names are those that the RFCs keep for documentation wherever a rule does not ask for others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from maxspan.languages.eql.values import parse_address

Scalar: TypeAlias = str | int | float | bool

_PREFIX: Final = re.compile(r"^(?:key)?\d+/")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: fields that hold lists in events of the Elastic Common Schema
_LISTS: Final = frozenset(
    _words(
        """
        dns.answers dns.answers.data dns.answers.name dns.answers.type dns.resolved_ip event.category event.type
        file.attributes host.ip host.mac process.Ext.code_signature process.Ext.dll registry.data.strings
        related.hash related.hosts related.ip related.user tags
        process.thread.capabilities.effective process.thread.capabilities.permitted
        """
    )
)
_LIST_ENDINGS: Final = _words(
    ".args .env_vars .flags .roles .technique.id .tactic.id .groups .arn .behaviors .defense_evasions .attribute_list"
)

_BY_NAME: Final[dict[str, tuple[Scalar, ...]]] = {
    "host.os.type": ("linux", "windows", "macos"),
    "host.os.family": ("debian", "windows", "macos"),
    "host.id": ("0c1d2e3f405162738495a6b7c8d9eafb", "1c1d2e3f405162738495a6b7c8d9eafb"),
    "agent.id": ("5f2c3a1e-0000-4000-8000-00000000a001", "5f2c3a1e-0000-4000-8000-00000000a002"),
    "host.name": ("host-1", "host-2"),
    "host.hostname": ("host-1", "host-2"),
    "host.ip": ("192.0.2.10", "192.0.2.11"),
    "user.name": ("alice", "bob"),
    "user.id": ("1000", "1001"),
    "user.domain": ("EXAMPLE", "OTHER"),
    "event.kind": ("event", "alert"),
    "event.category": ("process", "file", "network", "registry", "library", "any-other"),
    "event.type": ("start", "end", "change", "creation", "info"),
    "event.action": ("exec", "fork", "end"),
    "event.outcome": ("success", "failure", "unknown"),
    "process.name": ("example", "sample"),
    "dll.name": ("example.dll", "sample.dll"),
    "file.name": ("sample.dat", "example.dat"),
    "process.executable": ("/usr/bin/example", "C:\\Tools\\example.exe"),
    "process.working_directory": ("/home/alice",),
    "network.direction": ("egress", "ingress"),
    "network.protocol": ("http", "dns"),
    "network.transport": ("tcp", "udp"),
    "network.type": ("ipv4", "ipv6"),
}
_BY_ENDING: Final[tuple[tuple[str, tuple[Scalar, ...]], ...]] = (
    ("ip", ("192.0.2.10", "8.8.8.8", "10.1.2.3", "2001:db8::1", "2a00:1450::1")),
    ("address", ("192.0.2.10", "8.8.8.8")),
    ("port", (49152, 443)),
    ("pid", (4242, 4343)),
    ("uptime", (100,)),
    ("args_count", (2, 3)),
    ("entity_id", ("ZXhhbXBsZS0x", "ZXhhbXBsZS0y")),
    ("command_line", ("example --run", "sample --run")),
    ("args", ("example", "--run")),
    ("executable", ("/usr/bin/example", "C:\\Tools\\example.exe")),
    ("path", ("/srv/example/sample.dat", "C:\\Data\\sample.dat")),
    ("sha256", ("a1" * 32,)),
    ("sha1", ("a1" * 20,)),
    ("md5", ("a1" * 16,)),
    ("domain", ("example.org", "example.net")),
    ("extension", ("dat", "bin")),
    ("bytes", (1024,)),
    ("size", (1024,)),
    ("subject_name", ("Example Ltd", "Sample Ltd")),
    ("code", ("1", "2")),
    ("exists", (True, False)),
    ("trusted", (True, False)),
)
_PLAIN: Final[tuple[Scalar, ...]] = ("example", "sample", "x", 1, True, 0, False, "1", "8.8.8.8")


def bare_name(name: str) -> str:
    """Give the field's own name: several stages are solved as one event, in which names carry a prefix (`0/`)."""
    return _PREFIX.sub("", name)


def is_list_field(name: str) -> bool:
    """Whether events usually hold a list of values there."""
    plain = bare_name(name)
    return plain in _LISTS or plain.endswith(_LIST_ENDINGS)


def samples(name: str) -> tuple[Scalar, ...]:
    """Give values that fit the name of a field, the most usual first."""
    plain = bare_name(name)
    if plain in _BY_NAME:
        return _BY_NAME[plain] + _PLAIN
    last = plain.rpartition(".")[2].lower()
    for ending, values in _BY_ENDING:
        if last == ending or (ending in ("ip", "pid", "port") and last.endswith(ending)):
            return values + _PLAIN
    return _PLAIN


def changes(name: str, value: Scalar) -> Iterator[Scalar]:
    """Give values that differ from `value` by little; the first that are natural for the field, then by a character."""
    if isinstance(value, bool):
        yield not value
        return
    if isinstance(value, int | float):
        yield from (value + 1, value - 1, value * 2 + 1, 0, -1)
        return
    for other in _BY_NAME.get(bare_name(name), ()):
        if other != value:
            yield other
    address = parse_address(value)
    if address is not None:
        yield from ("8.8.8.8", "10.1.2.3", "192.0.2.77", "127.0.0.1", "2a00:1450::1", "fe80::1")
    if value.isdigit() and len(value) < 18:
        yield str(int(value) + 1)
    yield value + "x"
    yield value[:-1]
    step = max(1, len(value) // 24)
    for at in range(0, len(value), step):
        yield value[:at] + ("y" if value[at] == "x" else "x") + value[at + 1 :]
    yield "x" + value
    yield value.swapcase()
    yield "x"
    yield ""
