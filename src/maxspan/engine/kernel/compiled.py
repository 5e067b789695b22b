"""A set of rules made ready: the stages of all of them as pieces in one tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final, Literal

from maxspan.engine.kernel import native
from maxspan.engine.kernel.decoding import FieldDecoder, Getter
from maxspan.engine.kernel.gates import TOLD, Gates
from maxspan.engine.kernel.judge import Bits, Judge, make_judge, prepare
from maxspan.engine.kernel.native.scanning import Scanning
from maxspan.engine.kernel.pieces import Piece, pieces_of
from maxspan.engine.kernel.tables import FieldTable, table_key
from maxspan.engine.kernel.tree import Tree
from maxspan.engine.reference.condition import UNTYPED, Evaluator
from maxspan.engine.reference.event import FieldNames
from maxspan.languages import plan
from maxspan.languages.constraints import pass_on
from maxspan.rules.model import Rule
from maxspan.schema.index_patterns import IndexPatterns, Told

#: fields whose conditions depend on a type: the reference judges them
_TYPED: Final = frozenset(UNTYPED)


@dataclass(eq=False)
class Role:
    """One stage of one rule. `numbers` are its places among the positive stages, or among all for a missing one.

    A missing stage `leads` if it is before all positive ones.
    """

    rule: CompiledRule
    kind: Literal["event", "positive", "missing", "until", "sample"]
    stage: plan.Stage
    numbers: tuple[int, ...] = ()
    by: tuple[plan.Field, ...] = ()
    leads: bool = False
    #: reads the join keys of a decoded event; None where a type says how they are compared
    read_keys: Getter | None = None

    @property
    def begins(self) -> bool:
        """Whether an event matters with nothing before it."""
        if self.kind == "missing":
            return self.leads
        return self.kind in ("event", "sample") or 0 in self.numbers

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Give the fields that the condition reads."""
        return tuple(dict.fromkeys(found.name for found in plan.fields(self.stage.where)))


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """What an event is to one rule: its roles.

    A role comes with None where it is certain, else with judges of which one has to agree. `certain` are the roles if
    all are, and `opener` is the role if it is the only one, and the first of a sequence.
    """

    rule: CompiledRule
    roles: tuple[tuple[Role, list[Judge] | None], ...]
    certain: list[Role] | None
    opener: Role | None

    @classmethod
    def of(cls, rule: CompiledRule, roles: list[tuple[Role, list[Judge] | None]]) -> Part:
        """Make the part of one rule."""
        certain = [role for role, _ in roles] if all(judges is None for _, judges in roles) else None
        opener = certain[0] if certain is not None and len(certain) == 1 else None
        if opener is not None and not (opener.kind == "positive" and opener.numbers == (0,)):
            opener = None
        return cls(rule, tuple(roles), certain, opener)

    def held(self, fields: Any) -> list[Role]:
        """Give the roles that an event with these fields has indeed."""
        if self.certain is not None:
            return self.certain
        return [role for role, judges in self.roles if judges is None or any(judge(fields) for judge in judges)]


@dataclass(eq=False)
class CompiledRule:
    """A rule, its query with the conditions on keys passed on, and what judges its events."""

    number: int
    rule: Rule
    query: plan.Query
    names: FieldNames
    evaluator: Evaluator
    roles: list[Role] = field(default_factory=list)
    _plain: dict[int, bool] = field(default_factory=dict)

    @cached_property
    def is_sequence(self) -> bool:
        return isinstance(self.query, plan.SequenceQuery)

    @cached_property
    def host_place(self) -> int | None:
        """Give where the host's id stands in the keys, if it is the same place for all stages; else None."""
        if not isinstance(self.query, plan.SequenceQuery):
            return None
        lists = [role.by for role in self.roles]
        for place in range(len(lists[0])):
            if all(by[place].name == "host.id" and not by[place].optional for by in lists):
                return place
        return None

    @cached_property
    def maxspan_ns(self) -> int:
        """Give for how long a sequence can go on; a very long time without a maxspan."""
        maxspan = self.query.maxspan_ns if isinstance(self.query, plan.SequenceQuery) else None
        return 2**63 if maxspan is None else maxspan

    @cached_property
    def begins_alone(self) -> bool:
        """Whether the first event of a sequence changes nothing until another one comes, or until it is too old."""
        query = self.query
        if not isinstance(query, plan.SequenceQuery) or query.maxspan_ns is None:
            return False
        stages = query.expanded()
        return len(stages) > 1 and not any(stage.missing for stage in stages)

    def has_plain_keys(self, by: tuple[plan.Field, ...]) -> bool:
        """Whether keys of these fields are compared as events hold them: none has a type that says otherwise."""
        known = self._plain.get(id(by))
        if known is None:
            types = self.evaluator.types
            known = self._plain[id(by)] = bool(by) and not any(field.name in types for field in by)
        return known

    @cached_property
    def host_key(self) -> bool:
        """Whether all events of a sequence come from one host."""
        return self.host_place is not None


#: one object for equal names, so that comparing them is quick
_names = cache(FieldNames)


@cache
def _one(by: tuple[plan.Field, ...], timestamp: str) -> tuple[plan.Field, ...]:
    """Give one object for lists of keys whose values are equal: those of the field of the time have a type."""
    return (*by,)  # another object each time


def _keys(query: plan.SequenceQuery | plan.SampleQuery, stage: plan.Stage, names: FieldNames) -> tuple[plan.Field, ...]:
    by = query.keys(stage)
    return _one(by, names.timestamp if any(field.name == names.timestamp for field in by) else "")


def compile_rule(number: int, rule: Rule) -> CompiledRule:
    """Take a runnable rule apart into its stages."""
    query = rule.plan
    assert query is not None
    names = _names(rule.timestamp_field, rule.tiebreaker_field or "event.sequence", rule.category_field)
    evaluator = Evaluator({**UNTYPED, names.timestamp: "date_nanos"}, seconds=True)
    if isinstance(query, plan.SequenceQuery):
        query = pass_on(query)
    out = CompiledRule(number, rule, query, names, evaluator)
    if isinstance(query, plan.EventQuery):
        out.roles.append(Role(out, "event", query.stage))
    elif isinstance(query, plan.SampleQuery):
        out.roles += [
            Role(out, "sample", stage, (n,), _keys(query, stage, names)) for n, stage in enumerate(query.stages)
        ]
    else:
        positive = whole = 0
        for stage in query.stages:
            numbers = range(whole, whole + stage.runs) if stage.missing else range(positive, positive + stage.runs)
            kind: Literal["missing", "positive"] = "missing" if stage.missing else "positive"
            out.roles.append(Role(out, kind, stage, tuple(numbers), _keys(query, stage, names), not positive))
            whole += stage.runs
            positive += 0 if stage.missing else stage.runs
        if query.until is not None:
            out.roles.append(Role(out, "until", query.until, (), _keys(query, query.until, names)))
    return out


class CompiledRules:
    """All rules together: `tree.mask(event)` and `parts(mask)` give the stages that an event fulfils.

    A mask says what is possible, by the numbers of `pieces`; `Part.held` decides.
    """

    def __init__(self, rules: Iterable[Rule], *, ignore_index: bool = False) -> None:
        runnable = [rule for rule in rules if rule.runnable and rule.plan is not None]
        self.rules = [compile_rule(number, rule) for number, rule in enumerate(runnable)]
        self.pieces: list[tuple[Role, Piece]] = []
        unsplit = _TYPED | {rule.names.timestamp for rule in self.rules}
        for rule in self.rules:
            for role in rule.roles:
                self.pieces += [(role, piece) for piece in pieces_of(role.stage, rule.names.category, unsplit)]
        self.every = (1 << len(self.pieces)) - 1
        self._patterns = (
            {}
            if ignore_index
            else {rule.number: IndexPatterns(rule.rule.index) for rule in self.rules if rule.rule.index}
        )
        self._applying: dict[Told, int] = {}
        bits = Bits(len(self.pieces))
        for _, piece in self.pieces:
            for condition in piece.rest:
                prepare(condition, unsplit, bits)
        tables = self._tables(bits)
        self._judges = {
            number: _all_of(
                [make_judge(condition, unsplit, bits, tables, role.rule.evaluator) for condition in piece.rest]
            )
            for number, (role, piece) in enumerate(self.pieces)
            if piece.rest
        }
        names = self._read(table.name for table in tables.values())
        self.decoder = FieldDecoder(names)
        categories = [rule.names.category for rule in self.rules]
        self.gates = Gates(tables, categories, self.every, self._applies if self._patterns else None)
        self.tree = Tree(tables, self.decoder, self.gates, self.every)
        #: reads lines where the compiled part of maxspan is there; without it, structures do
        self.scanning: Scanning | None = None
        if native.scan is not None and self.decoder.complete and self.pieces:
            self.scanning = Scanning(native.scan, names, self.gates, len(self.pieces))
        for rule in self.rules:
            for role in rule.roles:
                if rule.has_plain_keys(role.by):
                    role.read_keys = self.getter(*(key.name for key in role.by))
        self._parts: dict[int, tuple[Part, ...]] = {}

    def _tables(self, bits: Bits) -> dict[str, FieldTable]:
        """Make the tables, by `table_key`; several may be of one field."""
        by_table = {key: dict(masks) for key, masks in bits.by_table.items()}
        for number, (_, piece) in enumerate(self.pieces):
            for name, conditions in piece.conditions.items():
                for condition in conditions:
                    masks = by_table.setdefault(table_key(name, condition), {})
                    masks[condition] = masks.get(condition, 0) | (1 << number)
        evaluator = Evaluator(UNTYPED, seconds=True)
        return {
            key: FieldTable(key.partition("\0")[0], masks, bits.every, evaluator) for key, masks in by_table.items()
        }

    def _read(self, tables: Iterable[str]) -> set[str]:
        names = {*tables, "@timestamp", "host.id", "event.sequence"} | (set(TOLD) if self._patterns else set())
        for rule in self.rules:
            names |= {rule.names.timestamp, rule.names.tiebreaker or "event.sequence", rule.names.category}
            names |= {key.name for role in rule.roles for key in role.by}
            names |= {name for role in rule.roles for name in role.reads}
        return names

    def getter(self, *names: str) -> Getter:
        """Give what reads one field of an event that was read, or several as a tuple: scalars, tuples, or None."""
        return self.decoder.getter(*names) if self.scanning is None else self.scanning.getter(*names)

    def _applies(self, told: Told) -> int:
        known = self._applying.get(told)
        if known is None:
            known = 0
            for number, (role, _) in enumerate(self.pieces):
                patterns = self._patterns.get(role.rule.number)
                if patterns is None or patterns.apply_to(told):
                    known |= 1 << number
            if len(self._applying) < 10_000:
                self._applying[told] = known
        return known

    def parts(self, mask: int) -> tuple[Part, ...]:
        """Give what a mask of pieces stands for, rule by rule."""
        known = self._parts.get(mask)
        if known is None:
            judges: dict[Role, list[Judge] | None] = {}
            rest = mask
            while rest:
                bit = rest & -rest
                number = bit.bit_length() - 1
                role = self.pieces[number][0]
                judge = self._judges.get(number)
                so_far = judges.setdefault(role, [])
                if judge is None:
                    judges[role] = None  # one piece that is all there is to it
                elif so_far is not None:
                    so_far.append(judge)
                rest ^= bit
            by_rule: dict[CompiledRule, list[tuple[Role, list[Judge] | None]]] = {}
            for role, needed in judges.items():
                by_rule.setdefault(role.rule, []).append((role, needed))
            known = tuple(Part.of(rule, roles) for rule, roles in by_rule.items())
            if len(self._parts) > 50_000:
                self._parts.clear()
            self._parts[mask] = known
        return known


def _all_of(judges: list[Judge]) -> Judge:
    if len(judges) == 1:
        return judges[0]
    return lambda fields: all(judge(fields) for judge in judges)
