"""Events that only just do not fire: one condition, one key, the span, the order or an absence is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from maxspan.languages import plan
from maxspan.languages.eql.printer import format_timespan
from maxspan.prover.events import MS, Draft, gap_ns
from maxspan.prover.goals import Goal, conjuncts, renamed
from maxspan.prover.proof import NearMiss, Proof, changes_between
from maxspan.prover.scene import Joined, Part, Scene, key_text
from maxspan.prover.solve import Assignment, Budget, Solved, Solver

Fires: TypeAlias = Callable[[Sequence[Draft]], int]


class NearMisses:
    """Makes near misses out of events that fire. `fires` judges; `budget` gives what is left of the rule's time."""

    def __init__(
        self, scene: Scene, solver: Solver, drafts: tuple[Draft, ...], fires: Fires, budget: Callable[[], Budget]
    ) -> None:
        self.scene = scene
        self.solver = solver
        self.drafts = drafts
        self.fires = fires
        self.budget = budget
        self.base = scene.together({draft.stage: draft.fields for draft in drafts})
        self.implied: list[str] = []
        self.unbroken: list[str] = []

    def complete(self, proof: Proof) -> Proof:
        """Give the proof with its near misses, each judged."""
        right: list[NearMiss] = []
        wrong: list[NearMiss] = []
        taken_over: list[str] = []
        for miss in self._all():
            if not self.fires(miss.events):
                right.append(miss)
            elif not self._explained(miss):
                wrong.append(miss)
            else:
                taken_over.append(
                    miss.breaks if miss.stage < 0 or miss.kind == "order" else f"stage {miss.stage + 1}: {miss.breaks}"
                )
        return replace(
            proof,
            near_misses=tuple(right),
            wrong=tuple(wrong),
            implied=tuple(self.implied),
            unbroken=tuple(self.unbroken),
            taken_over=tuple(taken_over),
        )

    def _all(self) -> Iterator[NearMiss]:
        yield from self._conditions()
        query = self.scene.query
        if isinstance(query, plan.EventQuery):
            return
        yield from self._keys()
        if isinstance(query, plan.SampleQuery):
            yield from self._without_a_stage()
            return
        yield from self._too_long(query)
        yield from self._out_of_order()
        yield from self._present(query)
        yield from self._ended(query)

    def _explained(self, miss: NearMiss) -> bool:
        """Whether it is no wonder that a near miss fires: an event that fits several stages fills another's place."""
        if miss.kind in ("key", "maxspan", "stage"):
            return False
        holds = self.solver.evaluator.holds
        wholes = [self.scene.whole_condition(stage) for stage in self.scene.stages]
        return any(
            holds(whole, draft.fields)
            for draft in miss.events
            for number, whole in enumerate(wholes)
            if number != draft.stage
        )

    # --- conditions --------------------------------------------------------------------------------------------------

    def _conditions(self) -> Iterator[NearMiss]:
        seen: set[tuple[int, str]] = set()
        for part in self.scene.parts:
            if part.kind == "key" or (part.stage, part.text) in seen:
                continue
            seen.add((part.stage, part.text))
            others = [other.goal for other in self.scene.parts if other is not part and other.goal != part.goal]
            broken = [*others, Goal(part.goal.condition, not part.goal.wanted)]
            outcome = self.solver.solve(broken, prefer=self.base, budget=self.budget())
            if isinstance(outcome, Solved):
                yield self._with(part, outcome.values)
            elif outcome.certain:
                self.implied.append(self._where(part))
            else:
                self.unbroken.append(self._where(part))

    def _where(self, part: Part) -> str:
        return part.text if len(self.scene.stages) == 1 else f"stage {part.stage + 1}: {part.text}"

    def _with(self, part: Part, values: Assignment) -> NearMiss:
        events = apply_values(self.scene, self.drafts, part.stage, values)
        changed = changes_between(self.drafts, events)
        return NearMiss(part.kind, part.stage, part.text, events, changed)

    # --- keys --------------------------------------------------------------------------------------------------------

    def _keys(self) -> Iterator[NearMiss]:
        """Give the last event another value of each key, everything that its stage asks for kept."""
        if len(self.drafts) < 2:
            return
        last = self.drafts[-1]
        for joined in self.scene.joined:
            alone = f"{last.stage}/{joined.fields[last.stage]}"
            goals = self._alone(last.stage, joined, alone)
            pinned = [goal for other in self.scene.joined if other is not joined for goal in self._pinned(other)]
            before = self.base.get(joined.name, [])
            differs = [Goal(plan.Comparison("==", plan.Field(alone), plan.Literal(value)), False) for value in before]
            if not before:
                differs = [Goal(plan.IsNull(plan.Field(alone)), False)]
            elif not joined.optional:
                differs.append(Goal(plan.IsNull(plan.Field(alone)), False))
            prefer = {**self.base, alone: before}
            outcome = self.solver.solve([*goals, *pinned, *differs], prefer=prefer, budget=self.budget())
            text = f"by {key_text(joined)}"
            yield from self._without_key(joined, text)
            if isinstance(outcome, Solved):
                yield self._other_key(joined, outcome.values, text)
            elif outcome.certain:
                self.implied.append(f"{text} (the conditions allow one value only)")
            else:
                self.unbroken.append(text)

    def _alone(self, stage: int, joined: Joined, alone: str) -> list[Goal]:
        """Give what a stage asks for with one of its keys not joined, but under the name `alone`."""
        own = [part.goal for part in self.scene.parts if part.stage == stage]
        return [Goal(renamed(goal.condition, {joined.name: alone}), goal.wanted) for goal in own]

    def _without_key(self, joined: Joined, text: str) -> Iterator[NearMiss]:
        """Take the key away from the last event, where its stage asks for nothing else of that field."""
        last = self.drafts[-1]
        field = joined.fields[last.stage]
        fields = {name: to for name, to in last.fields.items() if name != field}
        if field in last.fields and self.solver.evaluator.holds(self._whole(last.stage), fields):
            events = (*self.drafts[:-1], replace(last, fields=fields))
            yield NearMiss("key", last.stage, f"{text} (missing)", events, changes_between(self.drafts, events))

    def _whole(self, stage: int) -> plan.Condition:
        return self.scene.whole_condition(self.scene.stages[stage])

    def _pinned(self, joined: Joined) -> list[Goal]:
        values = self.base.get(joined.name, [])
        if not values:
            return [Goal(plan.IsNull(plan.Field(joined.name)))]
        return [Goal(plan.Comparison("==", plan.Field(joined.name), plan.Literal(value))) for value in values]

    def _other_key(self, joined: Joined, values: Assignment, text: str) -> NearMiss:
        last = self.drafts[-1]
        fields = {**last.fields, **_own_values(last.stage, values)}
        events = (*self.drafts[:-1], replace(last, fields={name: to for name, to in fields.items() if to}))
        return NearMiss("key", last.stage, text, events, changes_between(self.drafts, events))

    # --- time --------------------------------------------------------------------------------------------------------

    def _too_long(self, query: plan.SequenceQuery) -> Iterator[NearMiss]:
        if query.maxspan_ns is None or len(self.drafts) < 2:
            return
        late = self.drafts[0].time_ns + query.maxspan_ns + MS
        last = self.drafts[-1]
        text = f"maxspan={format_timespan(query.maxspan_ns)}, exceeded by 1 ms"
        yield NearMiss("maxspan", last.stage, text, (*self.drafts[:-1], last.at(late)))

    def _out_of_order(self) -> Iterator[NearMiss]:
        times = [draft.time_ns for draft in self.drafts]
        if len({draft.stage for draft in self.drafts}) < 2 or len(set(times)) < len(times):
            return
        turned = [draft.at(time) for draft, time in zip(reversed(self.drafts), times, strict=True)]
        yield NearMiss("order", 0, "the stages happen in the opposite order", tuple(turned))

    # --- what must be absent -----------------------------------------------------------------------------------------

    def _present(self, query: plan.SequenceQuery) -> Iterator[NearMiss]:
        """Add the events that missing stages forbid; one before and one after where both ends have such a stage."""
        stages = query.expanded()
        places = [at for at, stage in enumerate(stages) if not stage.missing]
        first, last = places[0], places[-1]
        ends = first > 0 and last < len(stages) - 1
        done: set[plan.Stage] = set()
        for at, stage in enumerate(stages):
            if not stage.missing or stage in done:
                continue
            done.add(stage)
            others = [(0, stages[0]), (len(stages) - 1, stages[-1])] if ends and not first < at < last else []
            wanted = [(at, stage), *(other for other in others if (other[0] < first) is not (at < first))]
            drafts = self._with_room(at, places, query)
            if drafts is None:
                self.implied.append(f"missing stage {at + 1} (maxspan leaves no millisecond for it)")
                continue
            added = [self._extra(one, self._time_of(place, places, drafts)) for place, one in wanted]
            if all(extra is not None for extra in added):
                events = sorted([*drafts, *(extra for extra in added if extra)], key=lambda one: one.time_ns)
                yield NearMiss("absence", at, f"an event of the missing stage {at + 1} is there", tuple(events))
            else:
                self.unbroken.append(f"missing stage {at + 1}")

    def _with_room(self, at: int, places: Sequence[int], query: plan.SequenceQuery) -> tuple[Draft, ...] | None:
        """Give the events with a whole millisecond between the neighbours of a middle stage; None if none can be."""
        before = sum(place < at for place in places)
        drafts = self.drafts
        if before in (0, len(places)) or drafts[before].time_ns // MS - drafts[before - 1].time_ns // MS >= 2:
            return drafts
        if (query.maxspan_ns or 0) < 2 * MS:
            return None
        first = drafts[0].time_ns
        return tuple(draft.at(first if number < before else first + 2 * MS) for number, draft in enumerate(drafts))

    def _time_of(self, at: int, places: Sequence[int], drafts: Sequence[Draft]) -> int:
        """Give a time for an event of a missing stage: just outside of the others, or amid its neighbours."""
        outside = max(1, min(MS, gap_ns(self.scene.query, len(drafts))))
        if at < places[0]:
            return drafts[0].time_ns - outside
        if at > places[-1]:
            return drafts[-1].time_ns + outside
        before = sum(place < at for place in places)
        return (drafts[before - 1].time_ns + drafts[before].time_ns) // 2

    def _ended(self, query: plan.SequenceQuery) -> Iterator[NearMiss]:
        """Add the event of `until` between the last two."""
        if query.until is None or len(self.drafts) < 2:
            return
        time_ns = (self.drafts[-2].time_ns + self.drafts[-1].time_ns) // 2
        extra = self._extra(query.until, time_ns)
        if extra is None:
            self.unbroken.append("until")
        else:
            events = (*self.drafts[:-1], extra, self.drafts[-1])
            yield NearMiss("until", -1, "the `until` event comes before the last", events)

    def _extra(self, stage: plan.Stage, time_ns: int) -> Draft | None:
        """Make an event for a stage that the sequence does not want, with the keys of the sequence."""
        values = {
            field.name: value
            for joined, field in zip(self._places(), self.scene.keys(stage), strict=True)
            for value in [self.base.get(joined, [])]
        }
        goals = list(conjuncts(self.scene.whole_condition(stage)))
        for name, to in values.items():
            goals += [Goal(plan.Comparison("==", plan.Field(name), plan.Literal(value))) for value in to]
            if not to:  # an optional key that the sequence does not have
                goals.append(Goal(plan.IsNull(plan.Field(name))))
        prefer = {**_beside(self.drafts[0]), **values}
        apart = [Goal(self.scene.whole_condition(other), False) for other in self.scene.stages]
        outcome = self.solver.solve([*goals, *apart], prefer=prefer, budget=self.budget())
        if not isinstance(outcome, Solved):
            outcome = self.solver.solve(goals, prefer=prefer, budget=self.budget())
        if not isinstance(outcome, Solved):
            return None
        fields = {**_beside(self.drafts[0]), **values, **outcome.values}
        return Draft(-1, {name: to for name, to in fields.items() if to}, time_ns)

    def _places(self) -> list[str]:
        """Give the scene's name of each place of the key lists."""
        first = self.scene.stages[0]
        return [self.scene.name(0, field.name) for field in self.scene.keys(first)]

    # --- samples -----------------------------------------------------------------------------------------------------

    def _without_a_stage(self) -> Iterator[NearMiss]:
        for at, draft in enumerate(self.drafts):
            events = (*self.drafts[:at], *self.drafts[at + 1 :])
            yield NearMiss("stage", draft.stage, f"stage {draft.stage + 1} has no event", events)


def apply_values(
    scene: Scene, drafts: tuple[Draft, ...], stage: int, values: Assignment, *, every_copy: bool = False
) -> tuple[Draft, ...]:
    """Give events with what was solved: a joined key in all, other fields in the stage's last event or every copy."""
    own = _own_values(stage, values)
    last = max(at for at, draft in enumerate(drafts) if draft.stage == stage)
    events: list[Draft] = []
    for at, draft in enumerate(drafts):
        fields = dict(draft.fields)
        for joined in scene.joined:
            if joined.name in values:
                fields[joined.fields[draft.stage]] = values[joined.name]
        if at == last or (every_copy and draft.stage == stage):
            fields.update(own)
        events.append(replace(draft, fields={name: to for name, to in fields.items() if to}))
    return tuple(events)


def _own_values(stage: int, values: Assignment) -> Assignment:
    prefix = f"{stage}/"
    return {name.removeprefix(prefix): to for name, to in values.items() if name.startswith(prefix)}


def _beside(draft: Draft) -> dict[str, list[str | int | float | bool]]:
    """Give what any event of the same host has: the host, the agent, the place that it is kept."""
    return {
        name: list(values)
        for name, values in draft.fields.items()
        if name.startswith(("host.", "agent.", "data_stream.")) or name == "event.kind"
    }
