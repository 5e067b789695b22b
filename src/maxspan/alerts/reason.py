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
    """Say in a few words what one event is: `bash connected to 10.0.0.1:4242`."""
    kinds = {as_text(value) for value in event.get("event.category", ())}
    for category, phrase in _PHRASES.items():
        if category in kinds:
            told = phrase(event)
            if told:
                return told
    return _anything(event)


def _actor(event: Fields) -> str:
    return _clip(first(event, "process.name", "process.executable", "user.name", "source.ip", "event.provider"))


def _did(event: Fields, verb: str, thing: str) -> str:
    return f"{_actor(event) or 'something'} {verb} {thing}" if thing else ""


def _action(event: Fields) -> str:
    return _clip(first(event, "event.action", "event.type").replace("_", " ").replace("-", " "))


def endpoint(event: Fields, side: str) -> str:
    """Give address and port of one side (`source` or `destination`): `10.0.0.1:80`, `[::1]:80`; empty if unknown."""
    address = _clip(first(event, f"{side}.ip", f"{side}.address", f"{side}.domain"))
    port = first(event, f"{side}.port")
    shown = f"[{address}]" if ":" in address and port not in ("", "0") else address
    return f"{shown}:{_clip(port)}" if address and port not in ("", "0") else shown


def _process(event: Fields) -> str:
    name = _clip(first(event, "process.command_line", "process.name", "process.executable"))
    action = first(event, "event.action").lower()
    types = event.get("event.type", ())
    if not name:
        return ""
    if action in ("end", "exit", "terminated") or ("end" in types and "start" not in types):
        return f"{_actor(event)} ended"
    parent = _clip(first(event, "process.parent.name", "process.parent.executable"))
    if action == "fork":
        return f"{parent or 'something'} forked {name}"
    if "start" in types or action in ("exec", "start", "process_started"):
        return f"{parent or 'something'} started {name}"
    return f"{_actor(event)}: {_action(event) or 'process event'}"


def _network(event: Fields) -> str:
    question = _clip(first(event, "dns.question.name"))
    if question:
        return _did(event, "looked up", question)
    action = first(event, "event.action").lower()
    if "accepted" in action:
        return _did(event, "accepted a connection from", endpoint(event, "source"))
    target = endpoint(event, "destination")
    if "disconnect" in action:
        return _did(event, "disconnected from", target)
    return _did(event, "connected to", target)


def _file(event: Fields) -> str:
    verb = {"creation": "created", "modification": "changed", "deletion": "deleted", "rename": "renamed"}
    action = first(event, "event.action").lower()
    return _did(
        event, verb.get(action, f"did {_action(event)} on" if action else "used"), _clip(first(event, "file.path"))
    )


def _registry(event: Fields) -> str:
    return _did(event, "changed registry value", _clip(first(event, "registry.path", "registry.key")))


def _library(event: Fields) -> str:
    return _did(event, "loaded", _clip(first(event, "dll.path", "dll.name", "file.path")))


def _authentication(event: Fields) -> str:
    user = _clip(first(event, "user.name", "user.id"))
    outcome = first(event, "event.outcome")
    source = endpoint(event, "source")
    if not user:
        return ""
    tried = "failed to log on" if outcome == "failure" else "logged on"
    return f"{user} {tried}" + (f" from {source}" if source else "")


def _anything(event: Fields) -> str:
    category = _clip(first(event, "event.category"))
    action = _action(event) or (f"{category} event" if category else "event")
    actor = _actor(event)
    return f"{actor}: {action}" if actor else action


_PHRASES: Final[dict[str, Callable[[Fields], str]]] = {
    "network": _network,
    "dns": _network,
    "file": _file,
    "registry": _registry,
    "library": _library,
    "driver": _library,
    "authentication": _authentication,
    "process": _process,
}
