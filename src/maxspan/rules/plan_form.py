"""A plan as plain values (lists, texts, numbers) and back, to keep it in a file.

A node is a list: the number of its class, then its attributes in order. What is read back is only ever one of the
classes below, whatever the values say; values of another shape are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from maxspan.errors import Span
from maxspan.languages import plan

#: Class -> a letter for each attribute: v a plain value, n a node, o a node or nothing, t a tuple of nodes,
#: s a tuple of texts, p a span. The order gives the numbers.
FORMS: Final[tuple[tuple[type[Any], str], ...]] = (
    (plan.Literal, "vp"),
    (plan.Field, "vvvp"),
    (plan.Comparison, "vnnp"),
    (plan.Like, "nsvp"),
    (plan.And, "tp"),
    (plan.Or, "tp"),
    (plan.Not, "np"),
    (plan.In, "ntvp"),
    (plan.IsNull, "nvp"),
    (plan.Call, "vtvp"),
    (plan.Regex, "nsvp"),
    (plan.Arithmetic, "vnnp"),
    (plan.Negate, "np"),
    (plan.ArraySearch, "nvnp"),
    (plan.DescendantOf, "np"),
    (plan.Pipe, "vvp"),
    (plan.Stage, "vntvvvp"),
    (plan.EventQuery, "nt"),
    (plan.SequenceQuery, "ttvot"),
    (plan.SampleQuery, "tt"),
)
_QUERIES: Final = (plan.EventQuery, plan.SequenceQuery, plan.SampleQuery)
_PLAIN: Final = (str, int, float, bool, type(None))


class BadForm(Exception):
    """Values that are no plan."""


def to_form(node: Any) -> list[Any]:
    """Give a node as plain values."""
    number, attributes = _WRITERS[type(node)]
    out: list[Any] = [number]
    for name, letter in attributes:
        value = getattr(node, name)
        match letter:
            case "v":
                out.append(value)
            case "n":
                out.append(to_form(value))
            case "o":
                out.append(None if value is None else to_form(value))
            case "t":
                out.append([to_form(item) for item in value])
            case "s":
                out.append(list(value))
            case "p":
                out.append((value.start << 32) | value.end)
    return out


def query_from_form(form: object) -> plan.Query:
    """Make the query again. Raises BadForm."""
    try:
        query = _node(form)
    except (TypeError, ValueError, IndexError, RecursionError) as error:
        raise BadForm(str(error)) from None
    if not isinstance(query, _QUERIES):
        raise BadForm("this is no query")
    return query


def _node(form: Any) -> Any:
    if type(form) is not list:
        raise BadForm("a node is a list")
    if form[0] == 0:  # constants and fields are most of all nodes
        _, value, span = form
        return plan.Literal(_plain(value), Span(span >> 32, span & 0xFFFFFFFF))
    if form[0] == 1:
        _, name, optional, of, span = form
        return plan.Field(_plain(name), _plain(optional), _plain(of), Span(span >> 32, span & 0xFFFFFFFF))
    class_, readers = _READERS[form[0]]
    return class_(*[read(value) for read, value in zip(readers, form[1:], strict=True)])


def _plain(value: Any) -> Any:
    if type(value) not in _PLAIN:
        raise BadForm("a value is neither text nor number")
    return value


def _optional(value: Any) -> Any:
    return None if value is None else _node(value)


def _nodes(value: Any) -> tuple[Any, ...]:
    return tuple([_node(item) for item in value])


def _texts(value: Any) -> tuple[str, ...]:
    if not all(type(item) is str for item in value):
        raise BadForm("a pattern is a text")
    return tuple(value)


def _span(value: Any) -> Span:
    return Span(value >> 32, value & 0xFFFFFFFF)


_BY_LETTER: Final[dict[str, Callable[[Any], Any]]] = {
    "v": _plain,
    "n": _node,
    "o": _optional,
    "t": _nodes,
    "s": _texts,
    "p": _span,
}
_READERS: Final = tuple((class_, tuple(_BY_LETTER[letter] for letter in form)) for class_, form in FORMS)
_WRITERS: Final = {
    class_: (number, tuple(zip(class_.__dataclass_fields__, form, strict=True)))
    for number, (class_, form) in enumerate(FORMS)
}
