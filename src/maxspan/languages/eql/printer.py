"""From a plan back to text: parsing the text gives the same plan."""

from __future__ import annotations

import re
from typing import Final

from maxspan.languages import plan
from maxspan.languages.eql.statements import UNITS_NS
from maxspan.languages.eql.tokens import KEYWORDS

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_@][A-Za-z0-9_]*")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def format_query(query: plan.Query) -> str:
    """Write a plan as EQL, a sequence with one stage a line."""
    if isinstance(query, plan.EventQuery):
        return _filter(query.stage) + _pipes(query.pipes)
    if isinstance(query, plan.SampleQuery):
        return "\n".join([f"sample{_by(query.by)}", *(f"  {_stage(stage)}" for stage in query.stages)])
    head = f"sequence{_by(query.by)}"
    if query.maxspan_ns is not None:
        head += f" with maxspan={format_timespan(query.maxspan_ns)}"
    lines = [head, *(f"  {_stage(stage)}" for stage in query.stages)]
    if query.until is not None:
        lines.append(f"  until {_stage(query.until)}")
    return "\n".join(lines) + _pipes(query.pipes)


def format_timespan(nanoseconds: int) -> str:
    """Write a time span in the largest unit that holds it exactly: `5s`, `1500ms`."""
    for unit in ("d", "h", "m", "s"):
        if nanoseconds % UNITS_NS[unit] == 0:
            return f"{nanoseconds // UNITS_NS[unit]}{unit}"
    return f"{nanoseconds // UNITS_NS['ms']}ms"


def format_expression(node: plan.Node) -> str:
    """Write an expression or condition as EQL."""
    match node:
        case plan.And(items=items):
            return " and ".join(map(_nested, items))
        case plan.Or(items=items):
            return " or ".join(map(_nested, items))
        case plan.Not(item=item):
            return f"not {_nested(item)}"
        case plan.Comparison(op=op, left=left, right=right):
            return f"{_operand(left)} {op} {_operand(right)}"
        case plan.IsNull(operand=operand, negated=negated):
            return f"{_operand(operand)} {'!=' if negated else '=='} null"
        case plan.Like(operand=operand, patterns=patterns, operator=operator):
            return f"{_operand(operand)} {operator} {_list(map(quote, patterns))}"
        case plan.Regex(operand=operand, patterns=patterns, insensitive=insensitive):
            return f"{_operand(operand)} regex{'~' if insensitive else ''} {_list(map(quote, patterns))}"
        case plan.In(operand=operand, values=values, insensitive=insensitive):
            return f"{_operand(operand)} in{'~' if insensitive else ''} {_list(map(format_expression, values))}"
        case plan.ArraySearch(array=array, variable=variable, condition=condition):
            return f"_arraysearch({field_name(array)}, {variable}, {format_expression(condition)})"
        case plan.DescendantOf(stage=stage):
            return f"descendant of {_stage(stage)}"
        case _:
            return _value(node)


def _value(node: plan.Node) -> str:
    match node:
        case plan.Literal(value=value):
            return format_constant(value)
        case plan.Field():
            return field_name(node)
        case plan.Call(function=function, args=args, insensitive=insensitive):
            return f"{function}{'~' if insensitive else ''}({', '.join(map(format_expression, args))})"
        case plan.Arithmetic(op=op, left=left, right=right):
            return f"{_operand(left)} {op} {_operand(right)}"
        case plan.Negate(operand=operand):
            return f"-{_operand(operand)}"
        case _:
            return format_expression(node)


def _nested(node: plan.Node) -> str:
    text = format_expression(node)
    return f"({text})" if isinstance(node, plan.And | plan.Or | plan.Not) else text


def _operand(node: plan.Node) -> str:
    text = format_expression(node)
    return text if isinstance(node, plan.Field | plan.Literal | plan.Call) else f"({text})"


def _list(items: object) -> str:
    return f"({', '.join(items)})"  # type: ignore[arg-type]


def format_constant(value: plan.Constant) -> str:
    """Write a constant as a literal."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else repr(value)


def quote(text: str) -> str:
    """Write a string literal; control characters are escaped."""
    return f'"{"".join(map(_quoted_character, text))}"'


def _quoted_character(character: str) -> str:
    escaped = _ESCAPES.get(character)
    if escaped is not None:
        return escaped
    if character.isprintable():
        return character
    return f"\\u{{{ord(character):02x}}}"


def field_name(field: plan.Field) -> str:
    """Write a field; names that are keywords or have odd characters stand in backticks."""
    names = field.name.split(".")
    text = _quoted_name(field.name) if "" in names else ".".join(map(_quoted_name, names))
    if field.of:
        text = f"{field.of}.{text}" if field.name else field.of
    return f"?{text}" if field.optional else text


def _quoted_name(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name) and name not in KEYWORDS:
        return name
    return f"`{name.replace('`', '``')}`"


def _filter(stage: plan.Stage) -> str:
    category = stage.category
    if category is None:
        shown = "any"
    else:
        shown = category if _PLAIN_NAME.fullmatch(category) and category not in KEYWORDS else quote(category)
    return f"{shown} where {format_expression(stage.where)}"


def _stage(stage: plan.Stage) -> str:
    text = f"{'!' if stage.missing else ''}[{_filter(stage)}]{_by(stage.by)}"
    if stage.runs != 1:
        text += f" with runs={stage.runs}"
    return f"{text} as {stage.alias}" if stage.alias else text


def _by(keys: tuple[plan.Field, ...]) -> str:
    return f" by {', '.join(map(field_name, keys))}" if keys else ""


def _pipes(pipes: tuple[plan.Pipe, ...]) -> str:
    return "".join(f"\n| {pipe.name} {pipe.count}" for pipe in pipes)
