"""A plan against a schema: names become columns, aliases their targets, unknown optional fields null.

Source: section 9.4 of the semantics document, and the schema errors of section 10.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from maxspan.errors import QueryError
from maxspan.languages import plan
from maxspan.languages.eql.functions import FUNCTIONS
from maxspan.languages.eql.verify import Verifier, constant

STRING_TYPES: Final = frozenset({"keyword", "text", "wildcard", "constant_keyword", "match_only_text"})
WHOLE_TYPES: Final = frozenset({"long", "integer", "short", "byte", "unsigned_long"})
NUMBER_TYPES: Final = WHOLE_TYPES | {"double", "float", "half_float", "scaled_float"}
DATE_TYPES: Final = frozenset({"date", "date_nanos"})
_ARGUMENTS: Final = {
    "string": STRING_TYPES | {"version"},
    "number": NUMBER_TYPES,
    "integer": WHOLE_TYPES,
    "boolean": frozenset({"boolean"}),
    "ip": STRING_TYPES | {"ip"},
}
_SHOWN: Final = {
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "ip": "an address",
}
KNOWN_TYPES: Final = STRING_TYPES | NUMBER_TYPES | DATE_TYPES | {"boolean", "ip", "version"}


def check_schema(schema: Mapping[str, str]) -> None:
    """Refuse types that are not known. Raises QueryError `bad-schema`."""
    for name, kind in schema.items():
        target = kind.removeprefix("alias:")
        if target == kind and kind not in KNOWN_TYPES:
            near = difflib.get_close_matches(kind, KNOWN_TYPES, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"known types: {', '.join(sorted(KNOWN_TYPES))}"
            raise QueryError("bad-schema", f"field {name} has the unknown type {kind!r}", hint=hint)
        if target != kind and (target not in schema or schema[target].startswith("alias:")):
            raise QueryError("bad-schema", f"field {name} is an alias of {target!r}, which is no field of the schema")


def resolve(query: plan.Query, schema: Mapping[str, str], *, text: str = "") -> plan.Query:
    """Check every field of a plan against the schema and give it its column. Raises QueryError with the field's place.

    An unknown field is an error unless it is optional: then it is the literal null, and constants are computed anew.
    A field that is an alias becomes its target. Join keys stay as they are named.
    """
    resolver = _Resolver(schema)
    try:
        if isinstance(query, plan.EventQuery):
            return replace(query, stage=resolver.stage(query.stage))
        by = tuple(map(resolver.key, query.by))
        stages = tuple(map(resolver.stage, query.stages))
        if isinstance(query, plan.SampleQuery):
            return replace(query, by=by, stages=stages)
        until = resolver.stage(query.until) if query.until else None
        return replace(query, by=by, stages=stages, until=until)
    except QueryError as error:
        raise error.in_text(text) from None


class _Resolver:
    def __init__(self, schema: Mapping[str, str]) -> None:
        self.schema = schema

    def stage(self, stage: plan.Stage) -> plan.Stage:
        where = self.condition(stage.where)
        return replace(stage, where=Verifier().filter(where), by=tuple(map(self.key, stage.by)))

    def key(self, field: plan.Field) -> plan.Field:
        column = self.field(field)
        return column if isinstance(column, plan.Field) else field

    def field(self, field: plan.Field) -> plan.Expression:
        kind = self.schema.get(field.name)
        if kind is None:
            if field.optional:
                return plan.Literal(None, field.span)
            near = difflib.get_close_matches(field.name, self.schema, 1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            raise QueryError(
                "unknown-field",
                f"unknown field {field.name}",
                span=field.span,
                hint=f"{hint}a field that may be unknown is written ?{field.name}",
            )
        if kind.startswith("alias:"):
            return replace(field, name=kind.removeprefix("alias:"))
        return field

    def condition(self, node: plan.Condition) -> plan.Condition:
        match node:
            case plan.And(items=items) | plan.Or(items=items):
                return type(node)(tuple(map(self.condition, items)), node.span)
            case plan.Not(item=item):
                return plan.Not(self.condition(item), node.span)
            case _:
                return cast(plan.Condition, self.expression(node))

    def expression(self, node: plan.Expression) -> plan.Expression:
        match node:
            case plan.Field():
                return self.field(node)
            case plan.Call(args=args):
                call = replace(node, args=tuple(map(self.expression, args)))
                self._arguments(call)
                return call
            case plan.Arithmetic(left=left, right=right):
                sides = self.expression(left), self.expression(right)
                for side in sides:
                    self._argument(side, "number", f"`{node.op}`")
                return replace(node, left=sides[0], right=sides[1])
            case plan.Comparison(left=left, right=right):
                return self._comparison(replace(node, left=self.expression(left), right=self.expression(right)))
            case plan.Negate(operand=operand) | plan.IsNull(operand=operand):
                return replace(node, operand=self.expression(operand))
            case plan.Like(operand=operand) | plan.Regex(operand=operand):
                resolved = replace(node, operand=self.expression(operand))
                self._strings_only(resolved)
                return resolved
            case plan.In(operand=operand):
                resolved_in = replace(node, operand=self.expression(operand))
                self._list_types(resolved_in)
                return resolved_in
            case plan.And() | plan.Or() | plan.Not():
                return self.condition(node)
            case _:
                return node

    # --- types -------------------------------------------------------------------------------------------------------

    def _kind(self, node: plan.Expression) -> str:
        return self.schema.get(node.name, "") if isinstance(node, plan.Field) else ""

    def _arguments(self, call: plan.Call) -> None:
        signature = FUNCTIONS[call.function.lower()]
        for index, arg in enumerate(call.args):
            self._argument(arg, signature.kind(index), f"argument {index + 1} of {signature.name}")

    def _argument(self, node: plan.Expression, wanted: str, what: str) -> None:
        kind = self._kind(node)
        allowed = _ARGUMENTS.get(wanted)
        if kind and allowed is not None and kind not in allowed:
            raise QueryError(
                "argument-type",
                f"{what} must be {_SHOWN[wanted]}, and {_name(node)} is a {kind}",
                span=node.span,
                hint="string(...) gives the text of a value" if wanted == "string" else "",
            )

    def _strings_only(self, node: plan.Like | plan.Regex) -> None:
        kind = self._kind(node.operand)
        if kind and kind not in STRING_TYPES | {"version"}:
            operator = node.operator if isinstance(node, plan.Like) else "regex"
            raise QueryError(
                "type-mismatch",
                f"`{operator}` compares strings, and {_name(node.operand)} is a {kind}",
                span=node.operand.span,
                hint="compare with == or in" if kind != "ip" else "use cidrMatch",
            )

    def _comparison(self, node: plan.Comparison) -> plan.Comparison:
        kind = self._kind(node.left)
        if kind and kind != "boolean" and node.right == plan.TRUE and node.right.span == node.left.span:
            raise QueryError(
                "not-boolean",
                f"a condition is true or false, and {_name(node.left)} is a {kind}",
                span=node.left.span,
                hint="compare it with something, or with null to ask whether it is there",
            )
        if isinstance(node.right, plan.Literal):
            self._comparable(node.left, node.right)
        elif not constant(node.left) and not constant(node.right):
            raise QueryError("field-comparison", "a field can only be compared with a constant", span=node.span)
        return node

    def _comparable(self, operand: plan.Expression, literal: plan.Literal) -> None:
        kind = self._kind(operand)
        if kind and literal.value is not None and not _fits(kind, literal.value):
            raise QueryError(
                "type-mismatch",
                f"{_name(operand)} is a {kind} and cannot be compared with {literal.value!r}",
                span=literal.span,
            )

    def _list_types(self, node: plan.In) -> None:
        kind = self._kind(node.operand)
        for literal in node.values:
            if kind and literal.value is not None and not _fits(kind, literal.value):
                raise QueryError(
                    "mixed-types",
                    f"{_name(node.operand)} is a {kind}, and the list holds {literal.value!r}",
                    span=literal.span,
                )


def _name(node: plan.Expression) -> str:
    return node.name if isinstance(node, plan.Field) else "this"


def _fits(kind: str, value: plan.Constant) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str):
        return kind in STRING_TYPES or kind in DATE_TYPES or kind in ("ip", "version")
    return kind in NUMBER_TYPES or kind in DATE_TYPES
