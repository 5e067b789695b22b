"""Wildcard patterns: `*` is any run of characters, also none, `?` exactly one; nothing escapes them.

Source: section 9.3 of the semantics document.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import re2

from maxspan.languages.casefold import fold


def wildcard_to_re2(pattern: str) -> str:
    """Translate a wildcard pattern to RE2 syntax; match the result against a whole value."""
    pieces = (_PIECES.get(c) or re2.escape(c) for c in pattern)
    return "(?s)" + "".join(pieces)


_PIECES = {"*": ".*", "?": "."}


@functools.lru_cache(maxsize=65536)
def wildcard_test(pattern: str, *, insensitive: bool) -> Callable[[str], bool]:
    """Give a test of a whole value against a wildcard pattern; it takes time linear in the value."""
    if insensitive:
        plain = wildcard_test(fold(pattern), insensitive=False)
        return lambda value: plain(fold(value))
    if "*" not in pattern and "?" not in pattern:
        return pattern.__eq__
    options = re2.Options()
    options.max_mem = 64 << 20
    options.log_errors = False
    compiled = re2.compile(wildcard_to_re2(pattern), options)
    return lambda value: compiled.fullmatch(value) is not None
