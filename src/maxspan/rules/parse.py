"""The bytes of one rule file become rules and problems. Nothing outside the file is looked at."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from typing import Any, Final

import msgspec

from maxspan.errors import Problem, line_and_column
from maxspan.rules.compile import compile_rule
from maxspan.rules.complaints import Complaint, JsonText, Locator, TomlText, shortened
from maxspan.rules.detection import elastic_rule, kibana_rule, looks_like_detection
from maxspan.rules.endpoint import endpoint_rule, looks_like_endpoint
from maxspan.rules.model import Rule
from maxspan.rules.positions import KeyPath
from maxspan.rules.table import Table

_AT: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
#: How JSON begins and TOML never does.
_JSON: Final = re.compile(r"\s*(?:\{|\[\s*[\[{\]])")
#: A date or time that is no text, or looks like one.
_DATE: Final = re.compile(r"[=\[,]\s*(?:\d{4}-\d\d-\d\d|\d\d:\d\d:)")
_BYTE: Final = re.compile(r" \(byte (\d+)\)$")
_RAW_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_RAW_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decode_json: Final = msgspec.json.Decoder().decode
#: A TOML file holds one rule, and Python's parser is slow.
_MAX_TOML_CHARACTERS: Final = 4 * 1024 * 1024
#: Enough to see what is wrong with a file of other things.
_KEPT_PROBLEMS: Final = 50
#: A rule with more than this is no rule but an attempt to keep us busy.
_MAX_COMPLAINTS: Final = 500


class _TooManyComplaints(Exception):
    """Reading a rule further is of no use."""


@dataclass(slots=True)
class Contents:
    """What a file holds.

    `others` counts JSON objects that are no rules (summaries, connectors), `exceptions` the exception items among
    them, `broken` what is no JSON.
    """

    rules: list[Rule] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    others: int = 0
    exceptions: int = 0
    broken: int = 0


def parse(data: bytes, path: str, *, named: bool = True) -> Contents:
    """Read a rule file by its content; `named` files must hold a rule, others are only warned about."""
    out = Contents()
    try:
        text = plain_text(data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = "the file is not UTF-8 text" + (" but binary" if b"\0" in data[:4096] else "")
        out.problems.append(Problem("rule-file-not-text", message, path=path, line=line, hint="save it as UTF-8"))
        return out
    if _is_json(path, text):
        _parse_json(text, path, out)
    else:
        _parse_toml(text, path, out)
    if not out.rules and not any(problem.severity == "error" for problem in out.problems):
        message = "the file holds no rule"
        hint = "a rule file has a [rule] table with `name`, `type` and `query`, or is an export of Kibana"
        out.problems.append(Problem("no-rule", message, "error" if named else "warning", path=path, hint=hint))
    if out.exceptions:
        message = f"{out.exceptions} exception items of this export are not applied"
        hint = "rules may alert here where Kibana keeps silent"
        out.problems.append(Problem("exceptions-not-applied", message, "warning", path=path, hint=hint))
    if out.broken > _KEPT_PROBLEMS:
        message = f"{out.broken - _KEPT_PROBLEMS} more broken lines are not shown"
        out.problems.append(Problem("more-problems", message, path=path))
    return out


def plain_text(data: bytes) -> str:
    """Decode a file, with plain newlines and no mark at its begin. Raises UnicodeDecodeError."""
    return data.decode("utf-8-sig").replace("\r\n", "\n")


def _is_json(path: str, text: str) -> bool:
    if path.lower().endswith(".toml"):
        return False
    return path.lower().endswith((".json", ".ndjson", ".jsonl")) or _JSON.match(text) is not None


# --- TOML ------------------------------------------------------------------------------------------------------------


def _parse_toml(text: str, path: str, out: Contents) -> None:
    if len(text) > _MAX_TOML_CHARACTERS:
        message = f"the file is larger than {_MAX_TOML_CHARACTERS // 1024 // 1024} MiB, too large for one rule in TOML"
        out.problems.append(Problem("rule-file-too-large", message, path=path))
        return
    try:
        document = tomllib.loads(text)
        if _DATE.search(text):
            document = {key: _without_dates(value) for key, value in document.items()}
    except RecursionError:
        out.problems.append(Problem("rule-file-syntax", "tables or lists are nested too deep", path=path))
        return
    except ValueError as error:
        out.problems.append(_toml_problem(error, text, path))
        return
    if not isinstance(document.get("rule"), dict):
        return
    read = endpoint_rule if looks_like_endpoint(document) else elastic_rule
    _add(read, document, TomlText(path, text), ("rule", "query"), out)


def _without_dates(value: Any) -> Any:
    """Write dates and times of TOML as text, as JSON would have them."""
    match value:
        case dict():
            return {key: _without_dates(item) for key, item in value.items()}
        case list():
            return [_without_dates(item) for item in value]
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case _:
            return value


def _toml_problem(error: ValueError, text: str, path: str) -> Problem:
    message = str(error)
    found = _AT.search(message)
    if found is None:
        return Problem("rule-file-syntax", f"the TOML is broken: {message[:200]}", path=path)
    lines = text.split("\n")
    line = int(found[1]) if found[1] else max(1, len(lines) - (lines[-1] == ""))
    excerpt = lines[line - 1] if line <= len(lines) else ""
    column = int(found[2]) if found[2] else len(excerpt) + 1
    message = f"the TOML is broken: {message[: found.start()][:200]}"
    return Problem("rule-file-syntax", message, path=path, line=line, column=column, excerpt=shortened(excerpt, column))


def _add(
    read: Callable[[Table], Rule | None],
    values: Mapping[str, Any],
    locator: Locator,
    query_at: KeyPath,
    out: Contents,
) -> None:
    """Read one rule, compile it and turn the complaints into problems that name the rule."""
    complaints: list[Complaint] = []

    def complain(complaint: Complaint) -> None:
        complaints.append(complaint)
        if len(complaints) > _MAX_COMPLAINTS:
            raise _TooManyComplaints

    try:
        rule = read(Table(values, complain))
        if rule is not None:
            rule = compile_rule(rule, complain, query_at=query_at)
    except _TooManyComplaints:
        rule = None
        message = f"more than {_MAX_COMPLAINTS} things are wrong with the rule, which is left out"
        complaints.insert(0, Complaint("too-many-problems", message))
    if rule is not None:
        wrong = next((complaint for complaint in complaints if complaint.severity == "error"), None)
        if wrong is not None and rule.runnable:
            rule = replace(rule, not_runnable=f"its file is wrong: {wrong.message}")
        line = locator.line if isinstance(locator, JsonText) else 0
        out.rules.append(replace(rule, path=locator.path, line=line))
    id_, name = (rule.id, rule.name) if rule is not None else ("", "")
    found = [replace(locator.problem(item), rule_id=id_, rule_name=name) for item in complaints[:_KEPT_PROBLEMS]]
    if len(complaints) > _KEPT_PROBLEMS:
        message = f"{len(complaints) - _KEPT_PROBLEMS} more problems of this rule are not shown"
        found.append(Problem("more-problems", message, found[-1].severity, locator.path, rule_id=id_, rule_name=name))
    out.problems.extend(found)


# --- JSON ------------------------------------------------------------------------------------------------------------


def _parse_json(text: str, path: str, out: Contents) -> None:
    data = text.encode()
    for line, raw in _json_objects(data, path, out):
        try:
            value = _decode_json(raw)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            _json_problem(error, raw, path, line, out)
            continue
        if isinstance(value, dict) and looks_like_detection(value):
            _add(kibana_rule, value, JsonText(path, line), ("query",), out)
            continue
        out.others += 1
        if isinstance(value, dict) and "list_id" in value and "item_id" in value:
            out.exceptions += 1


def _json_objects(data: bytes, path: str, out: Contents) -> Iterator[tuple[int, bytes]]:
    """Give the objects of a JSON list, of an answer of the API (`data`) or of lines, each with its line number."""
    try:
        whole = _whole_document(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
        by_line = path.lower().endswith((".ndjson", ".jsonl")) or (lines and _is_object(lines[0][1]))
        if len(lines) < 2 or not by_line:
            _json_problem(error, data, path, 1, out)
            return
        yield from lines
        return
    at, line = 0, 1
    for raw in whole:
        start = data.index(bytes(raw), at)
        line += data.count(b"\n", at, start)
        at = start
        yield line, bytes(raw)


def _whole_document(data: bytes) -> list[msgspec.Raw]:
    if data.lstrip()[:1] == b"[":
        return _RAW_LIST.decode(data)
    document = _RAW_OBJECT.decode(data)
    inner = document.get("data")
    if inner is not None and "type" not in document:
        return _RAW_LIST.decode(inner)
    return [msgspec.Raw(data.strip())]


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(_decode_json(line), dict)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return False


def _json_problem(error: Exception, data: bytes, path: str, first_line: int, out: Contents) -> None:
    message = str(error)
    found = _BYTE.search(message)
    offset = len(data[: int(found[1])].decode("utf-8", "replace")) if found else 0
    line, column = line_and_column(data.decode("utf-8", "replace"), offset)
    if isinstance(error, RecursionError):
        message = "it is nested too deep"
    shown = f"the JSON is broken: {_BYTE.sub('', message)[:200]}"
    out.broken += 1
    if out.broken <= _KEPT_PROBLEMS:
        place = line + first_line - 1
        out.problems.append(Problem("rule-file-syntax", shown, path=path, line=place, column=column if found else 0))
