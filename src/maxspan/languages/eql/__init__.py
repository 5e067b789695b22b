"""EQL, the event query language: from text to plan and back.

`parse` goes through three steps, each in a file of its own: tokens, statements/expressions (the parser), verify (the
checks and the normal form).
"""

from __future__ import annotations

from typing import Literal

from maxspan.errors import QueryError
from maxspan.languages import plan
from maxspan.languages.eql.printer import format_expression, format_query
from maxspan.languages.eql.statements import StatementParser
from maxspan.languages.eql.verify import Verifier, verify

Dialect = Literal["elasticsearch", "endpoint"]

__all__ = ["Dialect", "format_expression", "format_query", "parse", "parse_expression"]


def parse(text: str, *, dialect: Dialect = "elasticsearch") -> plan.Query:
    """Compile a query text to a plan. Raises QueryError with code, span and hint.

    The dialect `endpoint` also knows what Elastic Endpoint's behaviour rules add: array searches, descendants,
    named events and field against field. Such plans cannot be run yet.
    """
    endpoint = dialect == "endpoint"
    try:
        return verify(StatementParser(text, endpoint=endpoint).query(), endpoint=endpoint)
    except QueryError as error:
        raise error.in_text(text) from None


def parse_expression(text: str) -> plan.Expression:
    """Compile one expression, a condition or a value. Raises QueryError."""
    try:
        return Verifier().expression(StatementParser(text).whole_expression())[0]
    except QueryError as error:
        raise error.in_text(text) from None
