"""A place in the token list, and what the parsers ask of it."""

from __future__ import annotations

from typing import NoReturn

from maxspan.errors import QueryError, Span
from maxspan.languages.eql.tokens import KEYWORDS, Token, tokenize

#: How deep parentheses, `not` and function calls may nest; it keeps hostile rules from exhausting the stack.
MAX_DEPTH = 60


class Cursor:
    """Reads tokens from left to right."""

    def __init__(self, text: str, *, endpoint: bool = False) -> None:
        self.text = text
        self.endpoint = endpoint
        self.tokens = tokenize(text)
        self.index = 0
        self.depth = 0

    @property
    def current(self) -> Token:
        return self.tokens[self.index]

    def ahead(self, count: int = 1) -> Token:
        """Give the token `count` places on; past the end it is the end token."""
        return self.tokens[min(self.index + count, len(self.tokens) - 1)]

    def at(self, *kinds: str) -> bool:
        return self.current.kind in kinds

    def at_word(self, word: str) -> bool:
        """Whether here stands the plain name `word`, which is no keyword (`runs`, `as`, `of`)."""
        return self.current.kind == "name" and self.current.value == word

    def advance(self) -> Token:
        token = self.tokens[self.index]
        if token.kind != "end":
            self.index += 1
        return token

    def accept(self, kind: str) -> Token | None:
        return self.advance() if self.current.kind == kind else None

    def expect(self, kind: str, what: str, hint: str = "") -> Token:
        if self.current.kind != kind:
            self.unexpected(what, hint)
        return self.advance()

    def since(self, start: int) -> Span:
        """Give the span from an offset to the end of the last token read."""
        return Span(start, max(start, self.tokens[self.index - 1].end if self.index else start))

    def descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail("too-deep", f"more than {MAX_DEPTH} levels of nesting", hint="split the condition")

    def ascend(self) -> None:
        self.depth -= 1

    def fail(self, code: str, message: str, *, span: Span | None = None, hint: str = "") -> NoReturn:
        raise QueryError(code, message, span=span or self.current.span, hint=hint)

    def unexpected(self, expected: str, hint: str = "") -> NoReturn:
        """Complain about the current token; the commonest mistakes have codes and remedies of their own."""
        token = self.current
        if token.kind == "=":
            self.fail("equals-sign", "`=` is no operator", hint="write == for equality, or : to ignore case")
        if token.kind == "end":
            self.fail("syntax", f"the query ends where {expected} should stand", span=token.span, hint=hint)
        if not hint and token.kind in KEYWORDS:
            hint = f"`{token.kind}` is a keyword; as a name of a field write it in backticks: `{token.kind}`"
        if not hint and token.kind == "name" and token.value.lower() in KEYWORDS:
            hint = f"keywords are in lower case: {token.value.lower()}"
        shown = self.text[token.start : token.end]
        self.fail("syntax", f"unexpected {shown!r}: {expected} should stand here", hint=hint)
