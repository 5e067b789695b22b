"""The parser of whole queries: event queries, sequences, samples, their stages and pipes.

Source: sections 3 to 8 and 10 of the semantics document.
"""

from __future__ import annotations

import difflib
from typing import Final, Literal, cast

from maxspan.errors import Span
from maxspan.languages import plan
from maxspan.languages.eql.expressions import ExpressionParser, fold_numbers

UNITS_NS: Final = {
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
MAX_RUNS: Final = 100
MAX_PIPE_COUNT: Final = 2**31 - 1
_OLD_PIPES: Final = ("count", "filter", "sort", "unique", "unique_count")


class StatementParser(ExpressionParser):
    """Reads a query from its first token to its last."""

    def query(self) -> plan.Query:
        if self.at("end"):
            self.fail("syntax", "the query is empty", hint='write for example: process where process.name == "sh"')
        if self.at("sequence") and self.ahead().kind != "where":
            return self._sequence()
        if self.at("sample") and self.ahead().kind != "where":
            return self._sample()
        if self.at("join") and self.ahead().kind in ("by", "["):
            self.fail("join-unsupported", "`join` is not supported", hint="write `sample by` or `sequence by`")
        query = plan.EventQuery(self._filter(), self._pipes())
        self._end()
        return query

    def whole_expression(self) -> plan.Expression:
        expression = self.expression()
        self._end()
        return expression

    def _end(self) -> None:
        if self.at("end"):
            return
        if self.current.kind == "[":
            self.unexpected("an operator or the end of the query", "several stages need `sequence` in front")
        self.unexpected("an operator, `|` or the end of the query")

    # --- sequences ---------------------------------------------------------------------------------------------------

    def _sequence(self) -> plan.Query:
        start = self.advance().start
        by = self._keys()
        maxspan_ns = self._maxspan()
        if maxspan_ns is not None and self.at("by"):
            self.fail(
                "with-before-by", "`by` comes before `with maxspan`", hint="write: sequence by ... with maxspan=..."
            )
        stages = [self._term()]
        while self.at("[", "!["):
            stages.append(self._term())
        until = self._until() if self.at("until") else None
        pipes = self._pipes()
        self._end()
        query = plan.SequenceQuery(by, tuple(stages), maxspan_ns, until, pipes)
        self._check_sequence(query, self.since(start))
        return query

    def _maxspan(self) -> int | None:
        if not self.accept("with"):
            return None
        self.expect("maxspan", "`maxspan`", "a sequence takes only `with maxspan=...`")
        self.expect("=", "`=`")
        number = self.current
        if number.kind == "decimal":
            self.fail("maxspan-number", "maxspan takes a whole number", hint="use a smaller unit: 1500ms for 1.5s")
        if number.kind == "-":
            self.fail("maxspan-number", "maxspan must be greater than zero")
        self.expect("integer", "a whole number")
        unit = self.current
        if unit.kind != "name":
            span = number.span
            self.fail("maxspan-unit", "maxspan needs a unit", span=span, hint="one of ms, s, m, h, d, such as 5s")
        if unit.value not in UNITS_NS:
            self.fail("maxspan-unit", f"{unit.value!r} is no unit of time", hint="one of ms, s, m, h, d, such as 5s")
        self.advance()
        if int(number.value) == 0:
            self.fail("maxspan-number", "maxspan must be greater than zero", span=number.span)
        value = int(number.value) * UNITS_NS[unit.value]
        if value > 2**63 - 1:
            self.fail("maxspan-number", "maxspan is longer than 292 years", span=number.span)
        return value

    def _term(self) -> plan.Stage:
        stage = self.bracketed_stage()
        start = stage.span.start
        if self.at_word("fork") or (self.at("with") and self.ahead().value == "fork"):
            self.fail("fork-unsupported", "`fork` is not supported", hint="leave it out")
        alias = ""
        by = self._keys()
        runs = self._runs()
        if runs is not None and self.at("by"):
            self.fail("with-before-by", "`by` comes before `with runs`", hint="write: [...] by ... with runs=...")
        if self.endpoint and self.at_word("as"):
            self.advance()
            alias = self.expect("name", "a name for the event").value
            by = by or self._keys()
        return plan.Stage(stage.category, stage.where, by, stage.missing, runs or 1, alias, self.since(start))

    def bracketed_stage(self) -> plan.Stage:
        """Read `[category where condition]` or `![category where condition]`."""
        start = self.current.start
        missing = self.accept("![") is not None
        if not missing:
            self.expect("[", "`[`", "the stages of a sequence stand in square brackets")
        inner = self._filter()
        self.expect("]", "an operator or `]`")
        return plan.Stage(inner.category, inner.where, missing=missing, span=self.since(start))

    def _runs(self) -> int | None:
        if not self.accept("with"):
            return None
        if not self.at_word("runs"):
            self.unexpected("`runs`", "a stage takes only `with runs=N`")
        self.advance()
        self.expect("=", "`=`")
        number = self.current
        value = int(number.value) if number.kind == "integer" and len(number.value) < 10 else 0
        if number.kind not in ("integer", "decimal", "-") or (number.kind == "-" and self.ahead().kind != "integer"):
            self.unexpected("a number")
        if not 1 <= value <= MAX_RUNS:
            self.fail("runs-range", f"runs must be a whole number from 1 to {MAX_RUNS}")
        self.advance()
        return value

    def _until(self) -> plan.Stage:
        self.advance()
        if self.at("!["):
            self.fail("until-missing", "`until` takes an event that occurs, not a missing one", hint="remove the `!`")
        stage = self._term()
        if stage.runs != 1:
            self.fail("runs-range", "`until` takes no `with runs`", span=stage.span)
        if self.at("[", "!["):
            self.fail("syntax", "`until` takes one event only, and stands last")
        return stage

    def _check_sequence(self, query: plan.SequenceQuery, span: Span) -> None:
        first = query.stages[0]
        for stage in plan.all_stages(query):
            if len(stage.by) != len(first.by):
                self.fail(
                    "key-count",
                    f"every stage needs the same number of join keys: {len(query.keys(first))} in the first, "
                    f"{len(query.keys(stage))} here",
                    span=stage.span,
                    hint="give each stage (and `until`) as many fields after `by`",
                )
        if sum(stage.runs for stage in query.stages) < 2:
            self.fail("too-few-stages", "a sequence needs at least two stages", span=span, hint="add a stage")
        missing = [stage for stage in query.stages if stage.missing]
        if missing and len(missing) == len(query.stages):
            self.fail("missing-only", "a sequence needs at least one stage without `!`", span=missing[0].span)
        if missing and query.maxspan_ns is None:
            self.fail(
                "missing-without-maxspan",
                "a missing event needs `with maxspan`",
                span=missing[0].span,
                hint="write: sequence ... with maxspan=1m",
            )

    # --- samples -----------------------------------------------------------------------------------------------------

    def _sample(self) -> plan.Query:
        start = self.advance().start
        by = self._keys()
        self._no_sample_option()
        stages = [self._sample_term()]
        while self.at("[", "!["):
            stages.append(self._sample_term())
        self._no_sample_option()
        self._end()
        query = plan.SampleQuery(by, tuple(stages))
        for stage in stages:
            if len(stage.by) != len(stages[0].by):
                self.fail("key-count", "every stage of a sample needs the same number of join keys", span=stage.span)
        if not query.keys(stages[0]):
            self.fail(
                "sample-without-key", "a sample needs a join key", span=self.since(start), hint="write: sample by field"
            )
        if len(stages) < 2:
            self.fail("too-few-stages", "a sample needs at least two stages", span=self.since(start))
        return query

    def _sample_term(self) -> plan.Stage:
        if self.at("!["):
            self.fail("sample-option", "a sample takes no missing events", hint="remove the `!`")
        stage = self.bracketed_stage()
        by = self._keys()
        self._no_sample_option()
        return plan.Stage(stage.category, stage.where, by, span=self.since(stage.span.start))

    def _no_sample_option(self) -> None:
        if self.at("with", "until", "|"):
            self.fail(
                "sample-option",
                f"a sample takes no `{self.current.kind}`",
                hint="samples have keys and stages only; limit them with size and max_samples_per_key",
            )

    # --- parts -------------------------------------------------------------------------------------------------------

    def _filter(self) -> plan.Stage:
        token = self.current
        category: str | None
        if self.accept("any"):
            category = None
        elif token.kind in ("name", "string"):
            category = self.advance().value
        else:
            hint = "quote a category that is a keyword or has odd characters" if token.kind != "end" else ""
            self.unexpected(
                "an event category or `any`", hint if token.kind not in ("?",) else "a category takes no `?`"
            )
        if not self.at("where"):
            hint = 'quote a category with odd characters: "my-category"' if self.at("-", ".") else ""
            if self.current.kind == "[" or (category or "") in ("sequence", "sample"):
                hint = ""
            self.unexpected("`where`", hint)
        self.advance()
        condition = self.expression()
        return plan.Stage(category, cast(plan.Condition, condition), span=self.since(token.start))

    def _keys(self) -> tuple[plan.Field, ...]:
        if not self.accept("by"):
            return ()
        keys = [self._key()]
        while self.accept(","):
            keys.append(self._key())
        return tuple(keys)

    def _key(self) -> plan.Field:
        start = self.current.start
        expression = self.sum()
        if not isinstance(expression, plan.Field):
            self.fail("key-not-field", "a join key is a field", span=self.since(start), hint="name a field")
        return expression

    def _pipes(self) -> tuple[plan.Pipe, ...]:
        pipes: list[plan.Pipe] = []
        while self.accept("|"):
            pipes.append(self._pipe())
        return tuple(pipes)

    def _pipe(self) -> plan.Pipe:
        name = self.current
        if name.kind != "name":
            self.unexpected("the name of a pipe", "head or tail")
        if name.value in _OLD_PIPES:
            self.fail("unsupported-pipe", f"the pipe `{name.value}` is not supported", hint="only head and tail are")
        if name.value not in ("head", "tail"):
            near = difflib.get_close_matches(name.value, ("head", "tail"), 1)
            self.fail(
                "unknown-pipe", f"there is no pipe `{name.value}`", hint=f"did you mean `{(near or ['head'])[0]}`?"
            )
        self.advance()
        count = self._pipe_count(name.value, name.start)
        return plan.Pipe(cast(Literal["head", "tail"], name.value), count, self.since(name.start))

    def _pipe_count(self, name: str, start: int) -> int:
        hint = f"write: {name} 10"
        if self.at("end", "|"):
            self.fail("pipe-argument", f"`{name}` needs a number", span=self.since(start), hint=hint)
        argument_start = self.current.start
        argument = fold_numbers(self.expression())
        span = self.since(argument_start)
        if self.at(","):
            self.fail("pipe-argument", f"`{name}` takes one number only", hint=hint)
        value = argument.value if isinstance(argument, plan.Literal) else None
        if type(value) is not int or not 0 <= value <= MAX_PIPE_COUNT:
            self.fail("pipe-argument", f"`{name}` takes a constant whole number, zero or more", span=span, hint=hint)
        return value
