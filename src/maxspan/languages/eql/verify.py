"""The checks and rewrites between the parser's tree and the plan.

What Elasticsearch's verifier refuses without knowing the fields is refused here: unknown functions, number and type of
arguments, field against field, conditions that are not boolean. Then the tree gets its normal form: constants on the
right, `== null` as a null test, `== true` on conditions gone, bare boolean fields as `field == true`, constants
computed. Source: sections 9.1, 9.3, 9.6 and 10 of the semantics document.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Final, Literal, NoReturn, cast

from maxspan.errors import QueryError, Span
from maxspan.languages import plan
from maxspan.languages.eql import values
from maxspan.languages.eql.folding import fold
from maxspan.languages.eql.functions import FUNCTIONS, REMOVED, Kind, Signature

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
_FLIPPED: Final[dict[str, Operator]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def verify(query: plan.Query, *, endpoint: bool = False) -> plan.Query:
    """Check a parsed query and give it its normal form. Raises QueryError."""
    verifier = Verifier(endpoint=endpoint)
    if isinstance(query, plan.EventQuery):
        return replace(query, stage=verifier.stage(query.stage))
    stages = tuple(map(verifier.stage, query.stages))
    if isinstance(query, plan.SampleQuery):
        return replace(query, stages=stages)
    until = verifier.stage(query.until) if query.until else None
    return replace(query, stages=stages, until=until)


class Verifier:
    """Walks a tree from below; each step gives the rewritten node and what kind of value it has."""

    def __init__(self, *, endpoint: bool = False) -> None:
        self.endpoint = endpoint

    def stage(self, stage: plan.Stage) -> plan.Stage:
        return replace(stage, where=self.filter(stage.where))

    def filter(self, node: plan.Node) -> plan.Condition:
        """Check a whole condition: its constant null is false."""
        condition = self.condition(node)
        if isinstance(condition, plan.Literal) and condition.value is None:
            return plan.Literal(False, condition.span)
        return condition

    def condition(self, node: plan.Node) -> plan.Condition:
        """Check what must be true or false."""
        match node:
            case plan.And(items=items):
                return _simplify(plan.And(tuple(map(self.condition, items)), node.span))
            case plan.Or(items=items):
                return _simplify(plan.Or(tuple(map(self.condition, items)), node.span))
            case plan.Not(item=item):
                return negation(self.condition(item), node.span)
            case _:
                rewritten, kind = self.expression(node)
        if isinstance(rewritten, plan.Field):
            return plan.Comparison("==", rewritten, plan.Literal(True, node.span), node.span)
        if kind not in ("boolean", "null"):
            raise QueryError(
                "not-boolean",
                f"a condition is true or false, and this is a {kind}",
                span=node.span,
                hint="compare it with something",
            )
        return cast(plan.Condition, rewritten)

    def expression(self, node: plan.Node) -> tuple[plan.Expression, Kind]:
        """Check an expression and say its kind: string, number, boolean, null, or any for a field."""
        match node:
            case plan.Literal(value=value):
                return node, _kind(value)
            case plan.Field():
                return node, "any"
            case plan.Call():
                return self._call(node)
            case plan.Arithmetic():
                return self._arithmetic(node)
            case plan.Negate(operand=operand):
                inner, kind = self.expression(operand)
                _want(kind, "number", inner, "`-`")
                return fold(plan.Negate(inner, node.span)), "number"
            case plan.Comparison():
                return self._comparison(node), "boolean"
            case plan.Like() | plan.Regex() | plan.In():
                return self._pattern(node), "boolean"
            case plan.IsNull(operand=operand, negated=negated):
                return fold(plan.IsNull(self.expression(operand)[0], negated, node.span)), "boolean"
            case plan.ArraySearch(condition=condition):
                return replace(node, condition=self.condition(condition)), "boolean"
            case plan.DescendantOf(stage=stage):
                return replace(node, stage=self.stage(stage)), "boolean"
            case _:
                return self.condition(node), "boolean"

    # --- functions and arithmetic ----------------------------------------------------------------------------------

    def _call(self, node: plan.Call) -> tuple[plan.Expression, Kind]:
        signature = self._signature(node)
        count = len(node.args)
        if count < signature.least or (signature.most is not None and count > signature.most):
            raise QueryError("argument-count", _count_message(signature, count), span=node.span)
        args: list[plan.Expression] = []
        for index, arg in enumerate(node.args):
            rewritten, kind = self.expression(arg)
            _want(kind, signature.kind(index), rewritten, f"argument {index + 1} of {signature.name}")
            args.append(rewritten)
        call = plan.Call(signature.name, tuple(args), node.insensitive, node.span)
        self._check_constants(call, signature)
        return fold(call), signature.result

    def _signature(self, node: plan.Call) -> Signature:
        name = node.function
        signature = FUNCTIONS.get(name.lower())
        shown = name + ("~" if node.insensitive else "")
        span = Span(node.span.start, node.span.start + len(shown))
        if signature is None:
            hint = REMOVED.get(name.lower(), "")
            near = difflib.get_close_matches(name.lower(), FUNCTIONS, 1)
            hint = hint or (f"did you mean `{FUNCTIONS[near[0]].name}`?" if near else "")
            raise QueryError("unknown-function", f"there is no function `{shown}`", span=span, hint=hint)
        if node.insensitive and not signature.insensitive_form:
            hint = f"`{signature.name}` has no form that ignores case"
            raise QueryError("unknown-function", f"there is no function `{shown}`", span=span, hint=hint)
        return signature

    def _check_constants(self, call: plan.Call, signature: Signature) -> None:
        for arg in call.args[signature.constant_from :]:
            if not isinstance(arg, plan.Literal):
                if self.endpoint:
                    continue
                raise QueryError("constant-required", f"the blocks of {call.function} are constants", span=arg.span)
            if isinstance(arg.value, str) and values.parse_network(arg.value) is None:
                hint = "write for example 10.0.0.0/8 or fe80::/10"
                raise QueryError("bad-cidr", f"{arg.value!r} is no address block", span=arg.span, hint=hint)
        if call.function == "number" and all(isinstance(arg, plan.Literal) for arg in call.args):
            texts = [cast(plan.Literal, arg).value for arg in call.args]
            if texts[0] is not None and values.call("number", texts) is None:
                raise QueryError("argument-type", f"{texts[0]!r} holds no number", span=call.args[0].span)

    def _arithmetic(self, node: plan.Arithmetic) -> tuple[plan.Expression, Kind]:
        left, left_kind = self.expression(node.left)
        right, right_kind = self.expression(node.right)
        _want(left_kind, "number", left, f"`{node.op}`")
        _want(right_kind, "number", right, f"`{node.op}`")
        return fold(replace(node, left=left, right=right)), "number"

    # --- leaves ------------------------------------------------------------------------------------------------------

    def _comparison(self, node: plan.Comparison) -> plan.Condition:
        left, left_kind = self.expression(node.left)
        right, right_kind = self.expression(node.right)
        op = node.op
        if not constant(right) and constant(left):
            left, right, op = right, left, _FLIPPED[op]
            left_kind, right_kind = right_kind, left_kind
        if not constant(right) and not self.endpoint and not (_all_optional(left) and _all_optional(right)):
            raise QueryError(
                "field-comparison",
                "a field can only be compared with a constant, not with another field",
                span=node.span,
                hint="to find equal values in two events, join a sequence by the fields",
            )
        if right_kind == "null" and op in ("==", "!="):
            return cast(plan.Condition, fold(plan.IsNull(left, op == "!=", node.span)))
        simple = _without_boolean(op, left, right) if left_kind == "boolean" else None
        return simple or cast(plan.Condition, fold(plan.Comparison(op, left, right, node.span)))

    def _pattern(self, node: plan.Like | plan.Regex | plan.In) -> plan.Condition:
        operand, kind = self.expression(node.operand)
        if isinstance(node, plan.Regex):
            _want(kind, "string", operand, "`regex`")
        elif isinstance(node, plan.Like):
            _want(kind, "string", operand, f"`{node.operator}`")
        elif node.insensitive:
            for value in node.values:
                _want(_kind(value.value), "string", value, "`in~`")
        return cast(plan.Condition, fold(replace(node, operand=operand)))


# --- pieces ----------------------------------------------------------------------------------------------------------


def constant(node: plan.Node) -> bool:
    """Whether a node depends on no field."""
    return next(plan.fields(node), None) is None


def negation(item: plan.Condition, span: Span) -> plan.Condition:
    """Build `not item`; the negation of a constant is computed, and that of null is null."""
    if isinstance(item, plan.Literal):
        return plan.Literal(None if item.value is None else not item.value, span)
    return plan.Not(item, span)


def _simplify(node: plan.And | plan.Or) -> plan.Condition:
    """Drop constants from a conjunction or disjunction, and merge nested ones of the same kind."""
    absorbing = isinstance(node, plan.Or)
    items: list[plan.Condition] = []
    for item in node.items:
        if isinstance(item, plan.Literal):
            if bool(item.value) is absorbing:
                return plan.Literal(absorbing, node.span)
            continue
        items.extend(item.items if type(item) is type(node) else (item,))
    if not items:
        return plan.Literal(not absorbing, node.span)
    return items[0] if len(items) == 1 else type(node)(tuple(items), node.span)


def _without_boolean(op: str, left: plan.Expression, right: plan.Expression) -> plan.Condition | None:
    """Turn `condition == true` into the condition and `condition == false` into its negation; fields stay."""
    if op not in ("==", "!=") or isinstance(left, plan.Field | plan.Literal):
        return None
    if not isinstance(right, plan.Literal) or not isinstance(right.value, bool):
        return None
    condition = cast(plan.Condition, left)
    return condition if right.value is (op == "==") else negation(condition, left.span)


def _all_optional(node: plan.Node) -> bool:
    return all(field.optional for field in plan.fields(node))


def _kind(value: plan.Constant) -> Kind:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _want(kind: Kind, wanted: Kind, node: plan.Node, what: str) -> None:
    if kind in ("any", "null") or wanted in ("any", kind):
        return
    if wanted == "ip" and kind == "string":
        return
    if wanted == "integer" and kind == "number":
        if not isinstance(node, plan.Literal) or isinstance(node.value, int):
            return
        kind = "decimal number"
    _wrong_type(kind, wanted, node, what)


def _wrong_type(kind: Kind, wanted: Kind, node: plan.Node, what: str) -> NoReturn:
    shown = {"integer": "whole number", "ip": "IP address"}.get(wanted, wanted)
    hint = "compare numbers with == or in" if wanted == "string" and kind == "number" else ""
    raise QueryError("argument-type", f"{what} must be a {shown}, and this is a {kind}", span=node.span, hint=hint)


def _count_message(signature: Signature, count: int) -> str:
    most = signature.most
    if most is None:
        wanted = f"{signature.least} or more"
    else:
        wanted = str(signature.least) if most == signature.least else f"{signature.least} to {most}"
    return f"{signature.name} takes {wanted} arguments, not {count}"
