"""The parser of expressions and conditions: precedence climbing over the tokens.

From loose to tight: `or`, `and`, `not`, comparison, `+ -`, `* / %`, unary sign, and `in`, `:`, `like`, `regex` behind
a primary. Source: sections 9.3 to 9.6 of the semantics document.
"""

from __future__ import annotations

from abc import abstractmethod
from math import isinf
from typing import Final, Literal, cast

from maxspan.errors import QueryError, Span
from maxspan.languages import plan
from maxspan.languages.eql.cursor import Cursor
from maxspan.languages.eql.lucene_regex import compile_regex
from maxspan.languages.eql.tokens import Token

_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_SUMS: Final = frozenset({"+", "-"})
_PRODUCTS: Final = frozenset({"*", "/", "%"})
_LISTS: Final = frozenset({":", "like", "like~", "regex", "regex~"})

#: the largest whole number of a query: unsigned 64 bits
MAX_INTEGER: Final = 2**64 - 1


class ExpressionParser(Cursor):
    """Reads one expression; the statements parser builds on it."""

    def expression(self) -> plan.Expression:
        return self.disjunction()

    def disjunction(self) -> plan.Expression:
        start = self.current.start
        items = [self.conjunction()]
        while self.accept("or"):
            items.append(self.conjunction())
        return items[0] if len(items) == 1 else join(plan.Or, items, self.since(start))

    def conjunction(self) -> plan.Expression:
        start = self.current.start
        items = [self.negation()]
        while self.accept("and"):
            items.append(self.negation())
        return items[0] if len(items) == 1 else join(plan.And, items, self.since(start))

    def negation(self) -> plan.Expression:
        if not self.at("not"):
            return self.comparison()
        start = self.advance().start
        self.descend()
        item = self.negation()
        self.ascend()
        return plan.Not(cast(plan.Condition, item), self.since(start))

    def comparison(self) -> plan.Expression:
        start = self.current.start
        left = self.sum()
        if self.current.kind == "=":
            self.unexpected("an operator")
        if self.current.kind not in _COMPARISONS:
            return left
        op = cast(Literal["==", "!=", "<", "<=", ">", ">="], self.advance().kind)
        right = self.sum()
        if self.current.kind in _COMPARISONS:
            self.fail("syntax", "comparisons cannot be chained", hint="write `a < b and b < c`")
        return plan.Comparison(op, left, right, self.since(start))

    def sum(self) -> plan.Expression:
        start = self.current.start
        left = self.product()
        while self.current.kind in _SUMS:
            op = cast(Literal["+", "-"], self.advance().kind)
            left = plan.Arithmetic(op, left, self.product(), self.since(start))
        return left

    def product(self) -> plan.Expression:
        start = self.current.start
        left = self.unary()
        while self.current.kind in _PRODUCTS:
            op = cast(Literal["*", "/", "%"], self.advance().kind)
            left = plan.Arithmetic(op, left, self.unary(), self.since(start))
        return left

    def unary(self) -> plan.Expression:
        if not self.at("+", "-"):
            return self.predicate()
        sign = self.advance()
        self.descend()
        operand = self.unary()
        self.ascend()
        span = self.since(sign.start)
        if isinstance(operand, plan.Literal) and type(operand.value) in (int, float):
            value = cast(int | float, operand.value)
            return plan.Literal(-value if sign.kind == "-" else value, span)
        return plan.Negate(operand, span) if sign.kind == "-" else operand

    # --- what may follow a primary -------------------------------------------------------------------------------

    def predicate(self) -> plan.Expression:
        start = self.current.start
        operand = self.primary()
        token = self.current
        if token.kind in ("in", "in~"):
            return self._in(operand, start, negated=False)
        if token.kind == "not" and self.ahead().kind in ("in", "in~"):
            self.advance()
            return self._in(operand, start, negated=True)
        if token.kind == "not" and self.ahead().kind in _LISTS:
            self.fail("syntax", f"`not {self.ahead().kind}` is not part of the language", hint="put `not` in front")
        if token.kind in _LISTS:
            return self._pattern(operand, start)
        return operand

    def _in(self, operand: plan.Expression, start: int, *, negated: bool) -> plan.Expression:
        insensitive = self.advance().kind == "in~"
        self.expect("(", "a list in parentheses", hint='write `field in ("a", "b")`')
        values: list[plan.Literal] = []
        while True:
            values.append(self._constant("the values of `in` are constants"))
            if not self.accept(","):
                break
        self.expect(")", "`,` or `)`")
        span = self.since(start)
        condition = plan.In(operand, tuple(values), insensitive, span)
        return plan.Not(condition, span) if negated else condition

    def _constant(self, rule: str) -> plan.Literal:
        """Read an expression that must be constant; arithmetic over numbers is computed."""
        start = self.current.start
        value = fold_numbers(self.expression())
        if not isinstance(value, plan.Literal):
            self.fail("constant-required", rule, span=self.since(start), hint="compare with `==` and join with `or`")
        return value

    def _pattern(self, operand: plan.Expression, start: int) -> plan.Expression:
        operator = self.advance().kind
        tokens: list[Token] = []
        if self.accept("("):
            tokens.append(self._pattern_string(operator))
            while self.accept(","):
                tokens.append(self._pattern_string(operator))
            self.expect(")", "`,` or `)`")
        else:
            tokens.append(self._pattern_string(operator))
        span = self.since(start)
        patterns = [token.value for token in tokens]
        if operator in ("regex", "regex~"):
            for token in tokens:
                self._check_regex(token, insensitive=operator == "regex~")
            return plan.Regex(operand, tuple(patterns), operator == "regex~", span)
        return plan.Like(operand, tuple(patterns), cast(Literal[":", "like", "like~"], operator), span)

    def _check_regex(self, pattern: Token, *, insensitive: bool) -> None:
        try:
            compile_regex(pattern.value, insensitive=insensitive)
        except QueryError as error:
            self.fail(error.code, error.message, span=pattern.span, hint=error.hint)

    def _pattern_string(self, operator: str) -> Token:
        token = self.current
        if token.kind in ("integer", "decimal", "true", "false", "null", "-"):
            self.fail(
                "argument-type", f"`{operator}` compares with strings", hint="write == for numbers, booleans and null"
            )
        if self.endpoint and token.kind in ("name", "variable"):
            self.fail("field-comparison", f"`{operator}` with a field on the right", hint="")
        return self.expect("string", f"a string for `{operator}`")

    # --- primaries -----------------------------------------------------------------------------------------------

    def primary(self) -> plan.Expression:
        token = self.current
        match token.kind:
            case "string":
                return plan.Literal(self.advance().value, token.span)
            case "integer":
                return self._integer()
            case "decimal":
                return self._decimal()
            case "true" | "false":
                self.advance()
                return plan.Literal(token.kind == "true", token.span)
            case "null":
                self.advance()
                return plan.Literal(None, token.span)
            case "(":
                return self._parenthesis()
            case "name" | "tilde-name":
                return self._name_or_call()
            case "quoted-name" | "?":
                return self.field()
            case "variable" if self.endpoint:
                return self.field()
            case _:
                self.unexpected("a value, a field or a condition")

    def _integer(self) -> plan.Literal:
        token = self.advance()
        value = int(token.value) if len(token.value) <= 20 else MAX_INTEGER + 1
        if value > MAX_INTEGER:
            self.fail("number-range", f"{token.value[:40]} is too large a number", span=token.span)
        return plan.Literal(value, token.span)

    def _decimal(self) -> plan.Literal:
        token = self.advance()
        value = float(token.value)
        if isinf(value):
            self.fail("number-range", f"{token.value[:40]} is too large a number", span=token.span)
        return plan.Literal(value, token.span)

    def _parenthesis(self) -> plan.Expression:
        self.advance()
        self.descend()
        inner = self.expression()
        self.ascend()
        self.expect(")", "an operator or `)`")
        return inner

    def _name_or_call(self) -> plan.Expression:
        token, following = self.current, self.ahead()
        if following.kind == "(":
            return self._call()
        if token.kind == "tilde-name":
            self.fail("syntax", f"`{token.value}` is neither a function call nor an operator")
        if following.kind == "name" and following.value == "of":
            if self.endpoint and token.value == "descendant":
                return self._descendant()
            if self.ahead(2).kind == "[":
                self.fail(
                    "of-unsupported",
                    f"`{token.value} of [...]` is not supported",
                    span=token.span | self.ahead(2).span,
                    hint="write a sequence that joins the child's parent id with the parent's id",
                )
        return self.field()

    def _call(self) -> plan.Expression:
        name = self.advance()
        if self.endpoint and name.value.lower() == "_arraysearch":
            return self._array_search(name)
        self.advance()
        self.descend()
        args: list[plan.Expression] = []
        if not self.at(")"):
            args.append(self.expression())
            while self.accept(","):
                args.append(self.expression())
        self.ascend()
        self.expect(")", "`,` or `)`")
        return plan.Call(name.value.rstrip("~"), tuple(args), name.kind == "tilde-name", self.since(name.start))

    def field(self) -> plan.Field:
        """Read a field: names joined by dots, each plain or in backticks, with `?` in front if it is optional."""
        start = self.current.start
        optional = self.accept("?") is not None
        if optional and self.at("string"):
            self.fail(
                "optional-string",
                "`?` stands before a field, not before a string",
                hint='a raw string is written """...""", an optional field with an odd name ?`name`',
            )
        of = ""
        if self.endpoint and self.at("variable"):
            of = self.advance().value
            if not self.accept("."):
                return plan.Field("", optional, of, self.since(start))
        names = [self._field_name()]
        while self.accept("."):
            names.append(self._field_name())
        if self.at("["):
            if self.ahead().kind == "integer":
                close = self.ahead(2) if self.ahead(2).kind == "]" else self.ahead()
                self.fail(
                    "array-index",
                    "lists cannot be indexed",
                    span=self.current.span | close.span,
                    hint="leave the index out: any value of the list may match",
                )
        return plan.Field(".".join(names), optional, of, self.since(start))

    def _field_name(self) -> str:
        if self.at("quoted-name"):
            return self.advance().value
        if self.at("name"):
            return self.advance().value
        if self.endpoint and self.current.value and self.current.value[0].isalpha() and self.current.kind != "string":
            return self.advance().value
        self.unexpected("the name of a field")

    # --- Endpoint's own forms --------------------------------------------------------------------------------------

    def _array_search(self, name: Token) -> plan.Expression:
        self.advance()
        array = self.field()
        self.expect(",", "`,`")
        variable = self.expect("variable", "a variable such as $entry").value
        self.expect(",", "`,`")
        self.descend()
        condition = self.expression()
        self.ascend()
        self.expect(")", "`)`")
        return plan.ArraySearch(array, variable, cast(plan.Condition, condition), self.since(name.start))

    def _descendant(self) -> plan.Expression:
        start = self.advance().start
        self.advance()
        return plan.DescendantOf(self.bracketed_stage(), self.since(start))

    @abstractmethod
    def bracketed_stage(self) -> plan.Stage:
        """Read `[category where condition]`; the statements parser knows how."""


def join(kind: type[plan.And] | type[plan.Or], items: list[plan.Expression], span: Span) -> plan.And | plan.Or:
    """Build a conjunction or disjunction; items of the same kind are merged into it, their order kept."""
    flat: list[plan.Condition] = []
    for item in items:
        if isinstance(item, kind):
            flat.extend(item.items)
        else:
            flat.append(cast(plan.Condition, item))
    return kind(tuple(flat), span)


def fold_numbers(node: plan.Expression) -> plan.Expression:
    """Compute arithmetic whose operands are number literals: `2147483648 - 1` becomes one literal."""
    if isinstance(node, plan.Arithmetic):
        from maxspan.languages.eql.values import arithmetic

        left, right = fold_numbers(node.left), fold_numbers(node.right)
        if isinstance(left, plan.Literal) and isinstance(right, plan.Literal):
            return plan.Literal(arithmetic(node.op, left.value, right.value), node.span)
    if isinstance(node, plan.Negate):
        operand = fold_numbers(node.operand)
        if isinstance(operand, plan.Literal) and isinstance(operand.value, int | float):
            return plan.Literal(-operand.value, node.span)
    return node
