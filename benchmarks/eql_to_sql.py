"""EQL conditions as DuckDB SQL, and whole rules as SQL queries that count the same matches.

What a careful person would write who knows both: one table whose columns are the fields, every value that is compared
without regard to case folded once, `IN` and `LIKE` where they do, `regexp_full_match` where they do not.

A condition is two-valued in EQL and three-valued in SQL. At the top, NULL is as good as false; below a `NOT` the
operand is wrapped in `coalesce(.., false)`. With that both agree.

Not translated (none of it occurs in the Linux rules): functions over lists other than the string tests, IPv6 blocks
other than single addresses and blocks on a whole hexadecimal digit.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.fields import Type
from maxspan.languages import plan
from maxspan.languages.casefold import fold
from maxspan.languages.eql.lucene_regex import to_re2


class Untranslatable(Exception):
    """A condition that this translator cannot say in SQL."""


@dataclass(slots=True)
class Columns:
    """Names the columns that conditions read; `wanted` maps each column to the SQL that makes it from the source."""

    types: Mapping[str, Type]
    wanted: dict[str, str] = field(default_factory=dict)

    def plain(self, name: str) -> str:
        return self._column(name, name, path(name))

    def folded(self, name: str) -> str:
        source = path(name)
        if self.types.get(name) == "list":
            return self._column(f"{name} folded", name, f"list_transform({source}, lambda x: lower(x))")
        return self._column(f"{name} folded", name, f"lower({source})")

    def address(self, name: str) -> str:
        """An IPv4 address as a number; NULL for anything else."""
        parts = [f"TRY_CAST(split_part({path(name)}, '.', {k}) AS BIGINT)" for k in (1, 2, 3, 4)]
        return self._column(f"{name} address", name, "(({} * 256 + {}) * 256 + {}) * 256 + {}".format(*parts))

    def is_list(self, name: str) -> bool:
        return self.types.get(name) == "list"

    def _column(self, column: str, name: str, source: str) -> str:
        self.wanted[column] = source if name in self.types else "NULL"
        return quoted(column)


def path(name: str) -> str:
    """Write a dotted name as struct access: `"process"."name"`."""
    return ".".join(quoted(part) for part in name.split("."))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


class Translator:
    """Translates conditions; the columns that it needs are collected in `columns`."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def stage(self, stage: plan.Stage) -> str:
        parts = (
            []
            if stage.category is None
            else [f"list_contains({self.columns.plain('event.category')}, {text(stage.category)})"]
        )
        return " AND ".join([*parts, self.condition(stage.where)])

    def condition(self, node: plan.Condition) -> str:
        match node:
            case plan.And(items=items):
                return "(" + " AND ".join(map(self.condition, items)) + ")"
            case plan.Or(items=items):
                return "(" + " OR ".join(map(self.condition, items)) + ")"
            case plan.Not(item=item):
                return f"(NOT coalesce({self.condition(item)}, false))"
            case plan.Literal(value=value):
                return "true" if value is True else "false"
            case plan.IsNull(operand=plan.Field(name=name), negated=negated):
                return self._is_null(name, negated)
            case plan.Comparison(op="!=", left=plan.Field() as left, right=right):
                return self.condition(plan.Not(plan.Comparison("==", left, right)))
            case plan.Comparison(op=op, left=plan.Field(name=name), right=plan.Literal(value=value)):
                return self._tests(name, False, lambda x: f"{x} {'=' if op == '==' else op} {self._value(name, value)}")
            case plan.Comparison(op=op, left=left, right=plan.Literal(value=value)):
                shown = text(value) if isinstance(value, str) else repr(value)
                return f"({self.expression(left)} {'=' if op == '==' else '<>' if op == '!=' else op} {shown})"
            case plan.In(operand=plan.Field(name=name), values=values, insensitive=insensitive):
                return self._among(name, [item.value for item in values], insensitive)
            case plan.Like(operand=plan.Field(name=name), patterns=patterns):
                return self._like(name, patterns, node.insensitive)
            case plan.Regex(operand=plan.Field(name=name), patterns=patterns, insensitive=insensitive):
                return self._regex(name, patterns, insensitive)
            case plan.Call(function="cidrMatch", args=(plan.Field(name=name), *blocks)):
                return self._cidr(name, [str(block.value) for block in blocks if isinstance(block, plan.Literal)])
            case plan.Call(function="startsWith" | "endsWith" | "stringContains"):
                return self._string_test(node)
            case _:
                raise Untranslatable(type(node).__name__)

    def expression(self, node: plan.Expression, *, folded: bool = False) -> str:
        """Translate a value; fields must not be lists."""
        match node:
            case plan.Literal(value=str() as value):
                return text(fold(value) if folded else value)
            case plan.Literal(value=value):
                return "NULL" if value is None else repr(value)
            case plan.Field(name=name):
                if self.columns.is_list(name):
                    raise Untranslatable(f"the list {name} inside of a function")
                return self.columns.folded(name) if folded else self.columns.plain(name)
            case plan.Call(function="length", args=(arg,)):
                return f"length({self.expression(arg)})"
            case plan.Call(function="concat", args=args):
                return "(" + " || ".join(self.expression(arg, folded=folded) for arg in args) + ")"
            case plan.Call(function="substring", args=(arg, plan.Literal(value=int() as begin), *rest)):
                return self._substring(self.expression(arg, folded=folded), begin, rest)
            case plan.Call(function="string", args=(arg,)):
                return f"CAST({self.expression(arg)} AS VARCHAR)"
            case _:
                raise Untranslatable(getattr(node, "function", type(node).__name__))

    def _substring(self, of: str, begin: int, rest: list[plan.Expression]) -> str:
        end = rest[0].value if rest and isinstance(rest[0], plan.Literal) else None
        low = f"greatest(length({of}) + {begin}, 0)" if begin < 0 else str(begin)
        if end is None:
            return f"{of}[{low} + 1:]"
        if not isinstance(end, int):
            raise Untranslatable("substring")
        high = f"length({of}) + {end}" if end < 0 else str(end)
        return f"{of}[{low} + 1:{high}]"

    def _is_null(self, name: str, negated: bool) -> str:
        column = self.columns.plain(name)
        if self.columns.is_list(name):
            return f"len({column}) > 0" if negated else f"coalesce(len({column}), 0) = 0"
        return f"{column} IS {'NOT ' if negated else ''}NULL"

    def _value(self, name: str, value: plan.Constant) -> str:
        wants_text = self.columns.types.get(name, "text") in ("text", "list")
        if isinstance(value, str):
            if not wants_text:
                raise Untranslatable(f"text compared with the {self.columns.types[name]} {name}")
            return text(value)
        if wants_text and name in self.columns.types:
            raise Untranslatable(f"a number compared with the text {name}")
        return str(value)

    def _tests(self, name: str, folded: bool, test: Callable[[str], str]) -> str:
        """One test of a scalar, or of any element of a list."""
        column = self.columns.folded(name) if folded else self.columns.plain(name)
        if self.columns.is_list(name):
            return f"(len(list_filter({column}, lambda x: {test('x')})) > 0)"
        return f"({test(column)})"

    def _among(self, name: str, values: Iterable[plan.Constant], insensitive: bool) -> str:
        shown = [self._value(name, fold(v) if insensitive and isinstance(v, str) else v) for v in values]
        column = self.columns.folded(name) if insensitive else self.columns.plain(name)
        if self.columns.is_list(name):
            return f"list_has_any({column}, [{', '.join(shown)}])"
        return f"({column} IN ({', '.join(shown)}))"

    def _like(self, name: str, patterns: tuple[str, ...], insensitive: bool) -> str:
        folded = [fold(pattern) if insensitive else pattern for pattern in patterns]
        exact = [pattern for pattern in folded if not set(pattern) & set("*?")]
        wild = [pattern for pattern in folded if set(pattern) & set("*?")]
        parts = [self._among(name, exact, insensitive)] if exact else []
        if wild:
            parts.append(self._tests(name, insensitive, lambda x: " OR ".join(f"{x} LIKE {_like(p)}" for p in wild)))
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"

    def _regex(self, name: str, patterns: tuple[str, ...], insensitive: bool) -> str:
        whole = "|".join(f"(?:{to_re2(pattern)})" for pattern in patterns)
        options = "'si'" if insensitive else "'s'"
        return self._tests(name, False, lambda x: f"regexp_full_match({x}, {text(whole)}, {options})")

    def _string_test(self, node: plan.Call) -> str:
        function = {"startsWith": "starts_with", "endsWith": "ends_with", "stringContains": "contains"}[node.function]
        of, part = node.args
        if isinstance(of, plan.Field) and isinstance(part, plan.Literal):
            shown = text(fold(str(part.value)) if node.insensitive else str(part.value))
            return self._tests(of.name, node.insensitive, lambda x: f"{function}({x}, {shown})")
        both = [self.expression(arg, folded=node.insensitive) for arg in node.args]
        return f"{function}({both[0]}, {both[1]})"

    def _cidr(self, name: str, blocks: list[str]) -> str:
        number, parts = self.columns.address(name), []
        for block in blocks:
            network = ipaddress.ip_network(block, strict=False)
            if network.version == 4:
                low, high = int(network.network_address), int(network.broadcast_address)
                parts.append(f"{number} BETWEEN {low} AND {high}")
            elif network.prefixlen == 128:
                parts.append(f"{self.columns.folded(name)} = {text(str(network.network_address))}")
            else:
                digits = network.network_address.exploded.replace(":", "")[: network.prefixlen // 4]
                parts.append(f"{self.columns.folded(name)} LIKE {text(digits[:4] + '%:%')}")
        return f"({' OR '.join(parts)})"


def _like(pattern: str) -> str:
    escaped = "".join("\\" + c if c in "%_\\" else {"*": "%", "?": "_"}.get(c, c) for c in pattern)
    return text(escaped) + (" ESCAPE '\\'" if "\\" in escaped else "")


def count_query(query: plan.Query, translator: Translator) -> str:
    """Give SQL that counts the matches of a rule over the table `events` (columns ts, pos and those wanted).

    A sequence becomes a chain of ASOF joins, which is exact: a hit takes the latest unfinished sequence before it, and
    that one is used up. Raises Untranslatable for samples, `until` and missing events.
    """
    if isinstance(query, plan.EventQuery) and not query.pipes:
        return f"SELECT count(*) FROM events WHERE {translator.stage(query.stage)}"
    if not isinstance(query, plan.SequenceQuery) or query.until or query.pipes or any(s.missing for s in query.stages):
        raise Untranslatable("a query of this kind")
    return _sequence(query, translator)


def _sequence(query: plan.SequenceQuery, translator: Translator) -> str:
    stages = query.expanded()
    keys = [f"k{n}" for n in range(len(query.keys(stages[0])))]
    parts = []
    for number, stage in enumerate(stages):
        if any(translator.columns.is_list(key.name) for key in query.keys(stage)):
            raise Untranslatable("a list as join key")
        named = ", ".join(f"{translator.columns.plain(key.name)} AS k{n}" for n, key in enumerate(query.keys(stage)))
        known = "".join(
            f" AND {translator.columns.plain(key.name)} IS NOT NULL" for key in query.keys(stage) if not key.optional
        )
        selected = f"ts, ts AS first, pos{', ' + named if named else ''}"
        parts.append(f"h{number} AS (SELECT {selected} FROM events WHERE {translator.stage(stage)}{known})")
    previous = "h0"
    within = f" WHERE h.ts - h.first <= {query.maxspan_ns // 1000}" if query.maxspan_ns is not None else ""
    equal = "".join(f"h.{key} IS NOT DISTINCT FROM p.{key} AND " for key in keys)
    chosen = "".join(f", h.{key}" for key in keys)
    for number in range(1, len(stages)):
        joined = (
            f"SELECT h.ts, h.pos, p.pos AS before, p.first{chosen} FROM h{number} h "
            f"ASOF JOIN {previous} p ON {equal}p.pos < h.pos"
        )
        once = f"QUALIFY row_number() OVER (PARTITION BY before{chosen} ORDER BY h.pos) = 1"
        parts.append(f"j{number} AS ({joined} {once})")
        parts.append(f"s{number} AS (SELECT h.* EXCLUDE (before) FROM j{number} h{within})")
        previous = f"s{number}"
    return f"WITH {', '.join(parts)} SELECT count(*) FROM {previous}"


def load_table(source: str, columns: Columns) -> str:
    """Give SQL that makes the table `events` from a reader such as `read_json(..)`; ts is in microseconds.

    `pos` is the place in the order of EQL: time, then `event.sequence` (if it is there), then position in the file.
    """
    made = ", ".join(f"{source_} AS {quoted(column)}" for column, source_ in columns.wanted.items())
    return (
        f'CREATE OR REPLACE TABLE events AS SELECT epoch_us(CAST("@timestamp" AS TIMESTAMP)) AS ts, '
        f'row_number() OVER (ORDER BY CAST("@timestamp" AS TIMESTAMP)) AS pos, {made} FROM {source}'
    )
