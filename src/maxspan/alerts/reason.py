"""One readable sentence that says what happened: `kibana.alert.reason`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from maxspan.alerts.fields import Fields, as_text, first
from maxspan.alerts.printable import printable

#: A value in the sentence is cut after this many characters; the alert carries it in full.
_LONGEST: Final = 80


def reason(events: Sequence[Fields | None], *, name: str, severity: str) -> str:
    """Tell the events of a match in order, then the alert that they caused.

    `None` stands for an event that was rightly missing. Control characters in values are written as escapes.
    """
    told: list[str] = []
    for position, event in enumerate(events, start=1):
        phrase = f"nothing came for step {position}" if event is None else phrase_of(event)
        if not told or told[-1] != phrase:
            told.append(phrase)
    seen = [event for event in events if event is not None]
    where = f" on {host}" if (host := _shared(seen, "host.name", "host.hostname", "host.id")) else ""
    who = f" as {user}" if (user := _shared(seen, "user.name")) else ""
    return f'{", then ".join(told)}{where}{who}: {severity} alert "{printable(name)}".'


def _shared(events: Sequence[Fields], *names: str) -> str:
    """Give the value that all events agree on, or nothing."""
    found = {first(event, *names) for event in events}
    return _clip(found.pop()) if len(found) == 1 else ""


def _clip(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def phrase_of(event: Fields) -> str:
    """Say in a few words who did what in one event: `bash connected to 10.0.0.1:4242`."""
    who, deed = deed_of(event)
    return f"{who} {deed}" if who else deed


def deed_of(event: Fields) -> tuple[str, str]:
    """Give who acted (may be empty) and what was done, by the event's category: `("bash", "connected to ...")`."""
    kinds = {as_text(value) for value in event.get("event.category", ())}
    for category, tell in _TELLERS.items():
        if category in kinds:
            told = tell(event)
            if told is not None:
                return told
    return _anything(event)


def actor(event: Fields) -> str:
    return _clip(first(event, "process.name", "process.executable", "user.name", "source.ip", "event.provider"))


def action(event: Fields) -> str:
    """Give `event.action` as words: `connection attempted`."""
    return _clip(first(event, "event.action", "event.type").replace("_", " ").replace("-", " "))


def endpoint(event: Fields, side: str) -> str:
    """Give address and port of one side (`source` or `destination`): `10.0.0.1:80`, `[::1]:80`; empty if unknown."""
    address = _clip(first(event, f"{side}.ip", f"{side}.address", f"{side}.domain"))
    port = first(event, f"{side}.port")
    if not address or port in ("", "0"):
        return address
    return f"[{address}]:{_clip(port)}" if ":" in address else f"{address}:{_clip(port)}"


def _did(event: Fields, verb: str, thing: str) -> tuple[str, str] | None:
    return (actor(event) or "something", f"{verb} {thing}") if thing else None


def _process(event: Fields) -> tuple[str, str] | None:
    command = _clip(first(event, "process.command_line", "process.name", "process.executable"))
    if not command:
        return None
    did = first(event, "event.action").lower()
    types = event.get("event.type", ())
    if did in ("end", "exit", "terminated") or ("end" in types and "start" not in types):
        return actor(event), "ended"
    parent = _clip(first(event, "process.parent.name", "process.parent.executable")) or "something"
    if did == "fork":
        return parent, f"forked {command}"
    if "start" in types or did in ("exec", "start", "process_started"):
        return parent, f"started {command}"
    return actor(event), f"did {action(event) or 'something'}"


def _network(event: Fields) -> tuple[str, str] | None:
    question = _clip(first(event, "dns.question.name"))
    if question:
        return _did(event, "looked up", question)
    did = first(event, "event.action").lower()
    if "accepted" in did:
        return _did(event, "accepted a connection from", endpoint(event, "source"))
    verb = "disconnected from" if "disconnect" in did else "connected to"
    return _did(event, verb, endpoint(event, "destination"))


def _file(event: Fields) -> tuple[str, str] | None:
    verbs = {"creation": "created", "modification": "changed", "deletion": "deleted", "rename": "renamed"}
    did = first(event, "event.action").lower()
    verb = verbs.get(did, f"did {action(event)} on" if did else "used")
    return _did(event, verb, _clip(first(event, "file.path")))


def _registry(event: Fields) -> tuple[str, str] | None:
    return _did(event, "changed registry value", _clip(first(event, "registry.path", "registry.key")))


def _library(event: Fields) -> tuple[str, str] | None:
    return _did(event, "loaded", _clip(first(event, "dll.path", "dll.name", "file.path")))


def _authentication(event: Fields) -> tuple[str, str] | None:
    user = _clip(first(event, "user.name", "user.id"))
    if not user:
        return None
    source = endpoint(event, "source")
    tried = "failed to log on" if first(event, "event.outcome") == "failure" else "logged on"
    return user, tried + (f" from {source}" if source else "")


def _anything(event: Fields) -> tuple[str, str]:
    category = _clip(first(event, "event.category"))
    did = action(event) or (f"{category} event" if category else "event")
    who = actor(event)
    return (f"{who}:" if who else ""), did


_TELLERS: Final[dict[str, Callable[[Fields], tuple[str, str] | None]]] = {
    "network": _network,
    "dns": _network,
    "file": _file,
    "registry": _registry,
    "library": _library,
    "driver": _library,
    "authentication": _authentication,
    "process": _process,
}
