"""Typed access to a table of a rule file; what does not fit is complained about and read as not given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from maxspan.rules.complaints import Complaint
from maxspan.rules.positions import KeyPath


class Table:
    """A mapping of a TOML or JSON file, where it stands, and whom to tell what is wrong with it.

    A missing key and a JSON null are the same: not given.
    """

    def __init__(self, values: Mapping[str, Any], complain: Callable[[Complaint], None], at: KeyPath = ()) -> None:
        self.values = values
        self.complain = complain
        self.at = at

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return default if value is None else value
        self._wrong(key, "a text")
        return default

    def required_text(self, key: str) -> str:
        """Give a text that must be there and not blank; complains and gives an empty one otherwise."""
        value = self.text(key).strip()
        if not value and (key not in self or isinstance(self.values[key], str)):
            what = "is empty" if key in self else "is missing"
            self.complain(Complaint("rule-missing-key", f"`{key}` {what}", at=(*self.at, key)))
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Give a list of texts; a single text is a list of one."""
        value = self.values.get(key)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self._wrong(key, "a list of texts")
        return ()

    def truth(self, key: str, default: bool) -> bool:
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self._wrong(key, "true or false")
        return default

    def number(self, key: str, default: float) -> float:
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        self._wrong(key, "a number")
        return default

    def integer(self, key: str, default: int) -> int:
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self._wrong(key, "a whole number")
        return default

    def table(self, key: str) -> Table | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, dict):
            return Table(value, self.complain, (*self.at, key))
        self._wrong(key, "a table")
        return None

    def tables(self, key: str) -> Iterator[Table]:
        """Go through a list of tables; a single table is a list of one."""
        value = self.values.get(key)
        if value is None:
            return
        items = [value] if isinstance(value, dict) else value
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            self._wrong(key, "a list of tables")
            return
        for number, item in enumerate(items):
            path = (*self.at, key) if items is not value else (*self.at, key, number)
            yield Table(item, self.complain, path)

    def raw_tables(self, key: str) -> tuple[Mapping[str, Any], ...]:
        return tuple(table.values for table in self.tables(key))

    def check_keys(self, known: Iterable[str], *, where: str) -> None:
        """Warn of keys that no rule of this format has; `where` names the table."""
        known = frozenset(known)
        for key in self.values:
            if key not in known:
                close = get_close_matches(key[:64], known, n=1)
                hint = f"did you mean `{close[0]}`?" if close else ""
                message = f"unknown key `{key[:64]}` in {where}"
                self.complain(Complaint("unknown-key", message, "warning", (*self.at, key), hint=hint))

    def _wrong(self, key: str, wanted: str) -> None:
        found = _describe(self.values[key])
        complaint = Complaint(
            "rule-wrong-type", f"`{key}` must be {wanted}, not {found}", at=(*self.at, key), of_value=True
        )
        self.complain(complaint)


def _describe(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case dict():
            return "a table"
        case list():
            return "a list" if all(isinstance(item, type(value[0])) for item in value) else "a mixed list"
        case _:
            return f"a {type(value).__name__}"
