"""From a wanted result back to values of fields: proposals, each to be tested by evaluating.

`for_leaf` proposes values under which a leaf may be true (or false); `for_value` values under which an expression may
have a given result. Nothing is promised of a proposal: whoever asks evaluates the condition with it. `known` holds the
values that fields have so far; a proposal only says which fields change.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from maxspan.languages import plan
from maxspan.languages.eql.values import is_number
from maxspan.prover.language import Automaton, TooLarge, find_word
from maxspan.prover.regex_language import regex
from maxspan.prover.samples import Scalar, samples
from maxspan.prover.targets import addresses_in, digits, filled, left_operands, related, right_operands

Values: TypeAlias = Mapping[str, Sequence[Scalar]]
Proposal: TypeAlias = dict[str, Scalar]
Evaluate: TypeAlias = Callable[[plan.Expression, Values], plan.Constant]

#: what stands for `*` in a pattern, in the order of trying
_RUNS: Final = ("example", "x", "", "a/b", "a1", "\\x\\", "0")
_SINGLE: Final = ("C", "x", "1", "_")
_PADS: Final = 48


class Inversion:
    """Proposals for the fields of leaves. `evaluate` computes an expression over one event."""

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate

    def for_leaf(self, leaf: plan.Leaf, wanted: bool, known: Values) -> Iterator[Proposal]:
        """Propose values for fields under which the leaf may be as wanted."""
        match leaf:
            case plan.Comparison(op=op, left=left, right=plan.Literal(value=value)):
                for target in related(op if wanted else _OPPOSITE[op], value):
                    yield from self.for_value(left, target, known)
            case plan.Comparison(left=left, right=right):
                yield from self._both(left, right, known, lambda text: (text,))
            case plan.In(operand=operand, values=values):
                for literal in values:
                    if wanted and literal.value is not None:
                        yield from self.for_value(operand, literal.value, known)
            case plan.Like(operand=operand, patterns=patterns) if wanted:
                for run, single in itertools.product(_RUNS, _SINGLE):
                    for pattern in patterns:
                        if (run == _RUNS[0] or "*" in pattern) and (single == _SINGLE[0] or "?" in pattern):
                            yield from self.for_value(operand, filled(pattern, run, single), known)
            case plan.Regex(operand=operand, patterns=patterns) if wanted:
                for pattern in patterns:
                    word = _word(pattern, leaf.insensitive)
                    if word is not None:
                        yield from self.for_value(operand, word, known)
            case plan.IsNull(operand=operand, negated=negated) if wanted is negated:
                yield from self._something(operand, known)
            case plan.Call() if wanted:
                yield from self._true_call(leaf, known)
            case _:
                pass
        for field in plan.fields(leaf):
            for sample in samples(field.name):
                yield {field.name: sample}

    def for_value(self, node: plan.Expression, value: plan.Constant, known: Values) -> Iterator[Proposal]:
        """Propose values for fields under which the expression may have this value."""
        if value is None:
            return
        match node:
            case plan.Field(name=name):
                yield {name: value}
            case plan.Negate(operand=operand) if is_number(value):
                yield from self.for_value(operand, -value, known)  # type: ignore[operator]
            case plan.Arithmetic(op=op, left=left, right=right):
                yield from self._arithmetic(op, left, right, value, known)
            case plan.Call(function=function, args=args) if function in _ARITHMETIC:
                yield from self._arithmetic(_ARITHMETIC[function], args[0], args[1], value, known)
            case plan.Call(function="string", args=(inner,)) if isinstance(value, str):
                yield from self.for_value(inner, value, known)
                if value.lstrip("-").isdigit() and len(value) < 18:
                    yield from self.for_value(inner, int(value), known)
                if value in ("true", "false"):
                    yield from self.for_value(inner, value == "true", known)
            case plan.Call(function="number", args=args) if is_number(value):
                base = self.evaluate(args[1], known) if len(args) > 1 else None
                yield from self.for_value(args[0], digits(value, base), known)  # type: ignore[arg-type]
            case plan.Call(function="length", args=(inner,)) if isinstance(value, int) and 0 <= value < 100_000:
                now = self.evaluate(inner, known)
                seed = now if isinstance(now, str) and now else "example"
                yield from self.for_value(inner, (seed * (value // len(seed) + 1))[:value], known)
            case plan.Call(function="concat", args=args) if isinstance(value, str):
                yield from self._concat(args, value, known)
            case plan.Call(function="substring", args=args) if isinstance(value, str):
                yield from self._substring(args, value, known)
            case plan.Call(function="between", args=args) if isinstance(value, str):
                left_text, right_text = (self._text(arg, known) for arg in args[1:3])
                yield from self.for_value(args[0], f"{left_text}{value}{right_text}", known)
                yield from self.for_value(args[0], f"x{left_text}{value}{right_text}x", known)
            case plan.Call(function="indexOf", args=args) if isinstance(value, int) and 0 <= value < 10_000:
                yield from self.for_value(args[0], "_" * value + self._text(args[1], known), known)
            case plan.Call() | plan.Comparison() | plan.Like() | plan.Regex() | plan.In() | plan.IsNull():
                yield from self.for_leaf(node, value is True, known)
            case _:
                pass

    # --- boolean functions -------------------------------------------------------------------------------------------

    def _true_call(self, leaf: plan.Call, known: Values) -> Iterator[Proposal]:
        first, second = leaf.args[0], leaf.args[1]
        match leaf.function:
            case "cidrMatch":
                for block in leaf.args[1:]:
                    for address in addresses_in(self._text(block, known)):
                        yield from self.for_value(first, address, known)
            case "startsWith":
                yield from self._both(first, second, known, lambda text: (text, text + "example", text + "x"))
                yield from self._shorter(second, first, known, lambda text: (text[:3], text[:1]))
            case "endsWith":
                yield from self._both(first, second, known, lambda text: (text, "example" + text, "x" + text))
                yield from self._shorter(second, first, known, lambda text: (text[-3:], text[-1:]))
            case "stringContains":
                yield from self._both(
                    first, second, known, lambda text: (text, f"example {text} example", text + "x", "x" + text)
                )
                yield from self._shorter(second, first, known, lambda text: (text[1:4], text[:1]))
            case _:
                pass

    def _both(
        self, left: plan.Expression, right: plan.Expression, known: Values, around: Callable[[str], Sequence[str]]
    ) -> Iterator[Proposal]:
        """Make the left side fit the right one as it is now, or else as it is with sample values for its fields."""
        now = self.evaluate(right, known)
        options: list[tuple[Proposal, plan.Constant]] = [({}, now)]
        options += [(proposal, self.evaluate(right, overlaid(known, proposal))) for proposal in _fillings(right, known)]
        for proposal, value in options:
            if value is not None and (value != "" or proposal or not any(plan.fields(right))):
                for target in around(value) if isinstance(value, str) else (value,):
                    for found in self.for_value(left, target, overlaid(known, proposal)):
                        yield {**proposal, **found}

    def _shorter(
        self, part: plan.Expression, whole: plan.Expression, known: Values, pieces: Callable[[str], Sequence[str]]
    ) -> Iterator[Proposal]:
        """Make the part fit the whole as it is now."""
        now = self.evaluate(whole, known)
        if isinstance(now, str):
            for target in (now, *pieces(now)):
                yield from self.for_value(part, target, known)

    def _something(self, node: plan.Expression, known: Values) -> Iterator[Proposal]:
        """Propose anything that makes an expression other than null."""
        if isinstance(node, plan.Field):
            return
        yield from _fillings(node, known)
        if isinstance(node, plan.Call) and node.function == "indexOf":
            yield from self._both(node.args[0], node.args[1], known, lambda text: (text, "x" + text))
        if isinstance(node, plan.Call) and node.function == "between":
            yield from self.for_value(node, "x", known)
        if isinstance(node, plan.Call) and node.function == "number":
            yield from self.for_value(node, 1, known)

    # --- values ------------------------------------------------------------------------------------------------------

    def _text(self, node: plan.Expression, known: Values) -> str:
        value = self.evaluate(node, known)
        return value if isinstance(value, str) else ""

    def _arithmetic(
        self, op: str, left: plan.Expression, right: plan.Expression, value: plan.Constant, known: Values
    ) -> Iterator[Proposal]:
        if not is_number(value):
            return
        for proposal in itertools.chain([{}], _numbers(right), _fillings(right, known)):
            with_right = overlaid(known, proposal)
            now = self.evaluate(right, with_right)
            if is_number(now):
                for target in left_operands(op, value, now):  # type: ignore[arg-type]
                    for found in self.for_value(left, target, with_right):
                        yield {**proposal, **found}
        now = self.evaluate(left, known)
        if is_number(now):
            for target in right_operands(op, now, value):  # type: ignore[arg-type]
                yield from self.for_value(right, target, known)

    def _concat(self, args: Sequence[plan.Expression], value: str, known: Values) -> Iterator[Proposal]:
        """Give each argument in turn what the others leave over."""
        for index, arg in enumerate(args):
            if not any(plan.fields(arg)):
                continue
            before = "".join(self._shown(other, known) for other in args[:index])
            after = "".join(self._shown(other, known) for other in args[index + 1 :])
            if value.startswith(before) and value[len(before) :].endswith(after):
                rest = value[len(before) : len(value) - len(after)]
                yield from self.for_value(arg, rest, known)
                if rest.lstrip("-").isdigit() and len(rest) < 18:
                    yield from self.for_value(arg, int(rest), known)
        named = [arg for arg in args if isinstance(arg, plan.Field)]
        if len(named) > 1:
            yield from self._split(args, value)

    def _split(self, args: Sequence[plan.Expression], value: str) -> Iterator[Proposal]:
        """Give the first field a piece of the value and the last field the rest, cut at every place in turn."""
        texts = [arg.value for arg in args if isinstance(arg, plan.Literal) and isinstance(arg.value, str)]
        names = [arg.name for arg in args if isinstance(arg, plan.Field)]
        between = texts[0] if texts else ""
        for at in range(min(len(value), _PADS) + 1):
            if value.startswith(between, at):
                yield {**dict.fromkeys(names, ""), names[0]: value[:at], names[-1]: value[at + len(between) :]}

    def _shown(self, node: plan.Expression, known: Values) -> str:
        value = self.evaluate(node, known)
        return "" if value is None else str(value)

    def _substring(self, args: Sequence[plan.Expression], value: str, known: Values) -> Iterator[Proposal]:
        begin = self.evaluate(args[1], known)
        front = begin if isinstance(begin, int) and 0 < begin < 10_000 else 0
        text = "_" * front + value
        if isinstance(begin, int) and begin < 0:
            text = "_" + value + "_" * max(0, -begin - len(value))
        places = plan.Call("concat", tuple(args[1:]))
        filling = next(_fillings(places, known), {}) if self.evaluate(places, known) is None else {}
        for pad in range(_PADS):
            for found in self.for_value(args[0], text + "\\example.dll"[:pad].ljust(pad, "_"), known):
                yield {**filling, **found}


_OPPOSITE: Final = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_ARITHMETIC: Final = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "modulo": "%"}


def overlaid(known: Values, proposal: Proposal) -> Values:
    """Give the values with a proposal applied."""
    return {**known, **{name: [value] for name, value in proposal.items()}} if proposal else known


def _fillings(node: plan.Expression, known: Values) -> Iterator[Proposal]:
    """Give sample values to the fields below a node: first to those that have none, then to all, each time others."""
    names = list(dict.fromkeys(field.name for field in plan.fields(node)))
    lacking = [name for name in names if not known.get(name)]
    for chosen in (lacking, names) if 0 < len(lacking) < len(names) else (names,):
        for turn in range(4 if chosen else 0):
            yield {name: samples(name)[turn % len(samples(name))] for name in chosen}


def _numbers(node: plan.Expression) -> Iterator[Proposal]:
    names = list(dict.fromkeys(field.name for field in plan.fields(node)))
    for number in (1, 2, 10, 0) if names else ():
        yield dict.fromkeys(names, number)


def _word(pattern: str, insensitive: bool) -> str | None:
    try:
        return find_word([Automaton.of(regex(pattern, insensitive=insensitive))], [])
    except TooLarge:
        return None
