"""From a query text to tokens.

Source: the lexical rules of section 9.5 of the semantics document: strings in double quotes or raw in three double
quotes, comments `//` and `/* */`, lower-case keywords, names that may start with `_` or `@`, backticked names.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from maxspan.errors import QueryError, Span

KEYWORDS: Final = frozenset(
    {"and", "any", "by", "false", "in", "join", "like", "maxspan", "not", "null", "or", "regex", "sequence", "sample"}
    | {"true", "until", "where", "with"}
)
#: Keywords that take `~` for "without regard to case".
TILDE_KEYWORDS: Final = frozenset({"in", "like", "regex"})


class Token(NamedTuple):
    """`kind` is name, tilde-name, quoted-name, string, integer, decimal, end, or the keyword or operator itself."""

    kind: str
    value: str
    start: int
    end: int

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


_TOKEN = re.compile(
    r"""
      (?P<blank>\s+|//[^\n]*)
    | (?P<name>[A-Za-z_@][A-Za-z0-9_]*~?)
    | (?P<variable>\$[A-Za-z_][A-Za-z0-9_]*)
    | (?P<decimal>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    | (?P<integer>[0-9]+)
    | (?P<raw>\"\"\"[^\r\n]*?\"\"\"\"{0,2})
    | (?P<string>(?!\"\"\")"(?:[^"\\\r\n]|\\[^\r\n])*")
    | (?P<comment>/\*)
    | (?P<quoted>`(?:[^`]|``)*`)
    | (?P<op>==|!=|<=|>=|!\[|[<>\[\](),.|?:+\-*/%=~])
    """,
    re.VERBOSE,
)

_ESCAPE = re.compile(r"\\(u\{[^}]*\}?|u.{0,4}|.)", re.DOTALL)
_SIMPLE_ESCAPES: Final = {
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "f": "\f",
    "r": "\r",
    '"': '"',
    "'": "'",
    "\\": "\\",
}


def tokenize(text: str) -> list[Token]:
    """Cut a query text into tokens, an `end` token last. Raises QueryError with a span inside the text."""
    tokens: list[Token] = []
    position, size = 0, len(text)
    match = _TOKEN.match
    while position < size:
        found = match(text, position)
        if found is None:
            raise _no_token(text, position)
        kind, end = found.lastgroup, found.end()
        if kind == "comment":
            position = _comment_end(text, position)
            continue
        if kind != "blank":
            tokens.append(_token(kind or "", text, position, end))
        position = end
    tokens.append(Token("end", "", size, size))
    return tokens


def _token(kind: str, text: str, start: int, end: int) -> Token:
    value = text[start:end]
    match kind:
        case "name":
            return _name(value, start, end)
        case "string":
            return Token("string", _unescape(text, start, end), start, end)
        case "raw":
            return Token("string", value[3:-3], start, end)
        case "quoted":
            return Token("quoted-name", value[1:-1].replace("``", "`"), start, end)
        case "op":
            return Token(value, value, start, end)
        case _:
            return Token(kind, value, start, end)


def _name(value: str, start: int, end: int) -> Token:
    if value.endswith("~"):
        keyword = value[:-1] in TILDE_KEYWORDS
        return Token(value if keyword else "tilde-name", value, start, end)
    return Token(value if value in KEYWORDS else "name", value, start, end)


def _unescape(text: str, start: int, end: int) -> str:
    body = text[start + 1 : end - 1]
    if "\\" not in body:
        return body

    def replace(found: re.Match[str]) -> str:
        escape = found[1]
        simple = _SIMPLE_ESCAPES.get(escape)
        if simple is not None:
            return simple
        span = Span(start + 1 + found.start(), start + 1 + found.end())
        if escape[0] == "u":
            return _unicode_escape(escape, span)
        raise QueryError(
            "bad-escape",
            f"unknown escape \\{escape} in a string",
            span=span,
            hint='write \\\\ for a backslash, or use a raw string: """C:\\dir"""',
        )

    return _ESCAPE.sub(replace, body)


def _unicode_escape(escape: str, span: Span) -> str:
    digits = escape[2:-1] if escape.startswith("u{") and escape.endswith("}") else escape[1:]
    sizes = (2, 8) if escape.startswith("u{") else (4, 4)
    valid = re.fullmatch(r"[0-9a-fA-F]+", digits) is not None and sizes[0] <= len(digits) <= sizes[1]
    code = int(digits, 16) if valid else 0
    if not valid or code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise QueryError(
            "bad-escape",
            f"\\{escape} is no unicode escape",
            span=span,
            hint="write \\uXXXX with four hexadecimal digits, or \\u{XX} with two to eight, above 0 up to 10FFFF",
        )
    return chr(code)


def _comment_end(text: str, start: int) -> int:
    """Find the end of a bracketed comment; balanced comments inside it belong to it."""
    depth, first_close = 0, -1
    for found in re.compile(r"/\*|\*/").finditer(text, start):
        if found[0] == "/*":
            depth += 1
            continue
        if first_close < 0:
            first_close = found.end()
        depth -= 1
        if depth == 0:
            return found.end()
    if first_close >= 0:
        return first_close
    raise QueryError(
        "unterminated-comment", "this comment has no end", span=Span(start, start + 2), hint="close it with */"
    )


def _no_token(text: str, position: int) -> QueryError:
    character = text[position]
    line_end = text.find("\n", position)
    line_end = len(text) if line_end < 0 else line_end
    if character == "'":
        close = text.find("'", position + 1, line_end)
        end = close + 1 if close > 0 else position + 1
        inner = text[position + 1 : end - 1] if close > 0 else "..."
        return QueryError(
            "single-quote",
            "strings stand in double quotes, not in single ones",
            span=Span(position, end),
            hint=f'write "{inner}"',
        )
    if text.startswith('"""', position):
        return QueryError(
            "unterminated-string",
            "this raw string has no end on its line",
            span=Span(position, max(line_end, position + 3)),
            hint='close it with """',
        )
    if character == '"':
        return QueryError(
            "unterminated-string",
            "this string has no end on its line",
            span=Span(position, max(line_end, position + 1)),
            hint='close it with a double quote; a backslash before it needs another one (\\\\), or use """..."""',
        )
    if character == "`":
        return QueryError(
            "unterminated-string",
            "this backticked name has no end",
            span=Span(position, position + 1),
            hint="close it with `",
        )
    if character == "!":
        return QueryError(
            "syntax",
            "`!` stands only in != and ![",
            span=Span(position, position + 1),
            hint="write `not`; `!:` is not part of the language: write `not field : ...`",
        )
    return QueryError(
        "syntax", f"{character!r} cannot stand here", span=Span(position, position + 1), hint=_character_hint(character)
    )


def _character_hint(character: str) -> str:
    if character in "\u201c\u201d\u201e\u00ab\u00bb":
        return 'this is a typographic quote: write "'
    if character in "&":
        return "write `and`"
    return ""
