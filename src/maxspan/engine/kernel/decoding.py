"""Lines become typed structures that hold only the fields that the rules read.

What such a structure cannot say is refused by it, or found beforehand, and goes the general way: keys with dots, lists
of objects, null objects, wrapped documents, what is not strict JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from operator import attrgetter
from typing import Any, Final

import msgspec
import re2

#: what a field may hold; lists become tuples, so that they can be looked up, and hold no lists or objects
Scalar = str | int | float | bool | None
Leaf = Scalar | tuple[Scalar, ...]
#: In a typed structure these are null or missing: a wrapped document is refused.
_WRAPPERS: Final = ("_source", "fields")

_options = re2.Options()
_options.encoding = re2.Options.Encoding.LATIN1
_options.log_errors = False
#: a key with a dot in it, or an escaped character that may be one; the like inside of texts is harmless
_DOTTED: Final = re2.compile(rb'\.[^"]*"\s*:', _options)
_ESCAPED: Final = re2.compile(rb'\\u00[0-9a-fA-F]{2}[^"]*"\s*:', _options)

#: what JSON does not write as it is
_ESCAPES: Final = re.compile(r'["\\\x00-\x1f]')

Tree = dict[str, Any]
Getter = Callable[[Any], Any]


class FieldDecoder:
    """Decodes the given fields; `getter(name)` reads one of them from a decoded event: None where it is missing.

    Where one name is also the beginning of another (`a` and `a.b`), an event that decodes has an object there, and the
    shorter name is missing. Names that JSON writes with escapes are not read: then the decoder is not `complete`, and
    events have to go the general way.
    """

    def __init__(self, names: Collection[str]) -> None:
        tree: Tree = {}
        plain = sorted(name for name in set(names) if not _ESCAPES.search(name))
        self.complete = len(plain) == len(set(names))
        for name in plain:
            here = tree
            for part in name.split("."):
                here = here.setdefault(part, {})
        #: what `flatten` needs to give these fields alone
        self.wanted = frozenset(
            ".".join(parts[:length])
            for parts in (name.split(".") for name in names)
            for length in range(1, len(parts) + 1)
        )
        self._paths: dict[str, str] = {}
        for wrapper in _WRAPPERS:
            tree.pop(wrapper, None)
        type_ = self._struct("Event", tree, "", "", top=True)
        self.decode_lines: Callable[[bytes], list[Any]] = msgspec.json.Decoder(type_).decode_lines
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(type_).decode

    def _struct(self, name: str, tree: Tree, prefix: str, path: str, *, top: bool = False) -> Any:
        members: list[tuple[str, Any, Any]] = []
        renamed: dict[str, str] = {}
        for number, (key, inner) in enumerate(tree.items()):
            member = f"f{number}"
            renamed[member] = key
            if inner:
                type_ = self._struct(f"{name}_{number}", inner, f"{prefix}{key}.", f"{path}{member}.")
                members.append((member, type_, type_()))
            else:
                self._paths[prefix + key] = path + member
                members.append((member, Leaf, None))
        if top:
            for number, wrapper in enumerate(_WRAPPERS):
                renamed[f"w{number}"] = wrapper
                members.append((f"w{number}", None, None))
        return msgspec.defstruct(name, members, rename=renamed, frozen=True, gc=False)

    def getter(self, *names: str) -> Getter:
        """Give what reads one field, or several as a tuple."""
        paths = [self._paths.get(name) for name in names]
        if all(paths):
            return attrgetter(*(path for path in paths if path))
        singles = [attrgetter(path) if path else _missing for path in paths]
        if len(singles) == 1:
            return singles[0]
        return lambda event: tuple(one(event) for one in singles)

    def time(self, event: Any, name: str) -> None:
        """Say nothing: times of structures have to be read from their texts."""

    def path(self, name: str) -> str:
        """Give the members that lead to a field (`f1.f4`), or "" where it is always missing."""
        return self._paths.get(name, "")


def _missing(event: Any) -> None:
    return None


def is_dotted(data: bytes) -> bool:
    """Whether some key in lines of JSON may have a dot in it: typed structures would pass over it in silence."""
    return _DOTTED.search(data) is not None or _ESCAPED.search(data) is not None
