"""The functions of EQL: names, arguments and result types. What they compute stands in `values.py`.

Source: section 9.6 of the semantics document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: What an argument may be: "string", "number", "integer", "boolean", "ip", "any"; the type of a result likewise.
Kind = str


@dataclass(frozen=True, slots=True)
class Signature:
    """One function. `arguments` are the required ones, `optional` those that may follow, `repeated` any number more."""

    name: str
    result: Kind
    arguments: tuple[Kind, ...]
    optional: tuple[Kind, ...] = ()
    repeated: Kind = ""
    insensitive_form: bool = False
    constant_from: int = 99
    about: str = ""

    @property
    def least(self) -> int:
        return len(self.arguments)

    @property
    def most(self) -> int | None:
        return None if self.repeated else len(self.arguments) + len(self.optional)

    def kind(self, index: int) -> Kind:
        fixed = self.arguments + self.optional
        return fixed[index] if index < len(fixed) else self.repeated


_ALL: Final = (
    Signature("add", "number", ("number", "number"), about="sum of two numbers, like +"),
    Signature(
        "between",
        "string",
        ("string", "string", "string"),
        ("boolean",),
        insensitive_form=True,
        about="text between the first left and the first (greedy: last) right; null when either is absent",
    ),
    Signature("cidrMatch", "boolean", ("ip", "string"), repeated="string", constant_from=1, about="address in a block"),
    Signature("concat", "string", ("any",), repeated="any", about="all arguments as one string; any null gives null"),
    Signature("divide", "number", ("number", "number"), about="quotient, like /; of two integers it truncates"),
    Signature("endsWith", "boolean", ("string", "string"), insensitive_form=True, about="ends with"),
    Signature(
        "indexOf",
        "number",
        ("string", "string"),
        ("integer",),
        insensitive_form=True,
        about="first position of the second string in the first, from 0; null if absent",
    ),
    Signature("length", "number", ("string",), about="number of characters"),
    Signature("modulo", "number", ("number", "number"), about="remainder, like %; it has the sign of the dividend"),
    Signature("multiply", "number", ("number", "number"), about="product, like *"),
    Signature("number", "number", ("string",), ("integer",), about="number written in a string, 0x is hexadecimal"),
    Signature("startsWith", "boolean", ("string", "string"), insensitive_form=True, about="starts with"),
    Signature("string", "string", ("any",), about="the value as a string"),
    Signature("stringContains", "boolean", ("string", "string"), insensitive_form=True, about="contains"),
    Signature("substring", "string", ("string", "integer"), ("integer",), about="part of a string, negative from end"),
    Signature("subtract", "number", ("number", "number"), about="difference, like -"),
)

#: by lower-case name, as the language looks functions up
FUNCTIONS: Final = {signature.name.lower(): signature for signature in _ALL}

#: functions of the older endgame language, and what to write instead
REMOVED: Final = {
    "match": "write `field regex~ (...)`",
    "matchlite": "write `field regex~ (...)`",
    "wildcard": 'write `field : ("a*", "b*")`',
    "safe": "put `?` in front of fields that may be unknown",
    "arraycontains": "write `field == value`: a list matches when any of its values does",
    "arraysearch": "a list field matches when any of its values does",
    "arraycount": "lists have no count in EQL",
}
