"""The typed plan that every query text becomes, whatever its language.

Expressions have values, conditions are true or false; both are trees of frozen dataclasses. A condition is a tree of
`And`, `Or` and `Not` over *leaves* (everything else). Elasticsearch evaluates a leaf to true or false on each event,
never to null, and the tree above it is plain two-valued logic; inside a leaf, null is contagious.

A node knows where it stands in the text (`span`, not part of equality), so that every later complaint can point there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal as OneOf
from typing import TypeAlias

from maxspan.errors import NOWHERE, Span

Constant: TypeAlias = str | int | float | bool | None


# --- expressions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. As a condition, `true` or `false`."""

    value: Constant
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    def __eq__(self, other: object) -> bool:  # 1, 1.0 and True are three different literals
        return isinstance(other, Literal) and type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the event, by its dotted name; `optional` is the `?` in front of it.

    `of` is empty for a field of the event itself. Endpoint's dialect fills it with the alias of an earlier event of
    the sequence (`event0`) or with a variable of an array search (`$entry`); the name is then relative to that.
    """

    name: str
    optional: bool = False
    of: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call by its canonical name (`startsWith`); `insensitive` is the `~` form. Boolean ones are leaves."""

    function: str
    args: tuple[Expression, ...]
    insensitive: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left op right` with Java's arithmetic: truncating integer division, remainder with the dividend's sign."""

    op: OneOf["+", "-", "*", "/", "%"]
    left: Expression
    right: Expression
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus over something that is not a number literal."""

    operand: Expression
    span: Span = field(default=NOWHERE, compare=False, repr=False)


# --- conditions: leaves ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left op right`, case-sensitive, no wildcards.

    In Elasticsearch's dialect the right side is constant (the verifier turns `5 < x` round). A bare boolean field is
    written as `field == true`. Endpoint's dialect also compares field with field.
    """

    op: OneOf["==", "!=", "<", "<=", ">", ">="]
    left: Expression
    right: Expression
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """`operand == null`, or with `negated` `operand != null`: an exists test for a field, a null test otherwise."""

    operand: Expression
    negated: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Like:
    """`operand : (patterns)`, `like`, `like~`: `*` is any run, `?` one character, no escapes; `:` ignores case."""

    operand: Expression
    patterns: tuple[str, ...]
    operator: OneOf[":", "like", "like~"]
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def insensitive(self) -> bool:
        return self.operator != "like"


@dataclass(frozen=True, slots=True)
class Regex:
    """`operand regex (patterns)`: Lucene regular expressions over the whole value."""

    operand: Expression
    patterns: tuple[str, ...]
    insensitive: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class In:
    """`operand in (values)`: equality with any of them, `in~` without regard to case; no wildcards."""

    operand: Expression
    values: tuple[Literal, ...]
    insensitive: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ArraySearch:
    """Endpoint: some element of the array, bound to `variable`, fulfils `condition`."""

    array: Field
    variable: str
    condition: Condition
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DescendantOf:
    """Endpoint: the event's process descends from one for which `stage` held."""

    stage: Stage
    span: Span = field(default=NOWHERE, compare=False, repr=False)


# --- conditions: the tree --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class And:
    items: tuple[Condition, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple[Condition, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Not:
    item: Condition
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Leaf: TypeAlias = Literal | Call | Comparison | IsNull | Like | Regex | In | ArraySearch | DescendantOf
Condition: TypeAlias = And | Or | Not | Leaf
Expression: TypeAlias = Field | Arithmetic | Negate | Condition
Node: TypeAlias = Expression

TRUE = Literal(True)
FALSE = Literal(False)


# --- queries ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pipe:
    """`| head N` or `| tail N`."""

    name: OneOf["head", "tail"]
    count: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Stage:
    """One term `[category where condition] by keys with runs=N`, or the whole of an event query.

    `category` is `None` for `any`. `by` holds the stage's own keys only; the shared ones stand in the query.
    `missing` marks `![...]`. `alias` is Endpoint's `as event0`.
    """

    category: str | None
    where: Condition
    by: tuple[Field, ...] = ()
    missing: bool = False
    runs: int = 1
    alias: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """`category where condition | pipes`: every event that fulfils the condition."""

    stage: Stage
    pipes: tuple[Pipe, ...] = ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (self.stage,)


@dataclass(frozen=True, slots=True)
class SequenceQuery:
    """`sequence by keys with maxspan=T [..] [..] until [..] | pipes`; `maxspan_ns` is nanoseconds or None."""

    by: tuple[Field, ...]
    stages: tuple[Stage, ...]
    maxspan_ns: int | None = None
    until: Stage | None = None
    pipes: tuple[Pipe, ...] = ()

    def expanded(self) -> tuple[Stage, ...]:
        """Give the stages with `with runs=N` written out: N copies of the stage, each with `runs=1`."""
        out: list[Stage] = []
        for stage in self.stages:
            single = Stage(stage.category, stage.where, stage.by, stage.missing, 1, stage.alias, stage.span)
            out.extend([single] * stage.runs)
        return tuple(out)

    def keys(self, stage: Stage) -> tuple[Field, ...]:
        """Give the whole key list of a stage: the shared keys, then its own."""
        return self.by + stage.by


@dataclass(frozen=True, slots=True)
class SampleQuery:
    """`sample by keys [..] [..]`: events that share the keys, in no order of time."""

    by: tuple[Field, ...]
    stages: tuple[Stage, ...]

    def keys(self, stage: Stage) -> tuple[Field, ...]:
        return self.by + stage.by


Query: TypeAlias = EventQuery | SequenceQuery | SampleQuery


# --- walking ---------------------------------------------------------------------------------------------------------


def children(node: Node) -> tuple[Node, ...]:
    """Give the direct children of an expression or condition, constants of `In` included."""
    match node:
        case Call(args=args):
            return args
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right):
            return (left, right)
        case Negate(operand=operand) | IsNull(operand=operand) | Like(operand=operand) | Regex(operand=operand):
            return (operand,)
        case In(operand=operand, values=values):
            return (operand, *values)
        case And(items=items) | Or(items=items):
            return items
        case Not(item=item):
            return (item,)
        case ArraySearch(array=array, condition=condition):
            return (array, condition)
        case DescendantOf(stage=stage):
            return (stage.where,)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Go through a tree, parents before children, left to right."""
    yield node
    for child in children(node):
        yield from walk(child)


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Give the leaves of a condition: what stands below its And, Or and Not."""
    match condition:
        case And(items=items) | Or(items=items):
            for item in items:
                yield from leaves(item)
        case Not(item=item):
            yield from leaves(item)
        case _:
            yield condition


def fields(node: Node) -> Iterator[Field]:
    """Give every occurrence of a field below a node, in the order of the text."""
    return (item for item in walk(node) if isinstance(item, Field))


def all_stages(query: Query) -> tuple[Stage, ...]:
    """Give every stage of a query, `until` last."""
    if isinstance(query, SequenceQuery) and query.until is not None:
        return (*query.stages, query.until)
    return query.stages
