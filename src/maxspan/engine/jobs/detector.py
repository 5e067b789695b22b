"""Rules over event files by several processes: the same matches in the same order as one process gives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from maxspan.engine.detector import Counters
from maxspan.engine.jobs.joining import Joining
from maxspan.engine.jobs.parts import Part, Parts
from maxspan.engine.jobs.planning import Plan, Planning
from maxspan.engine.jobs.processes import Method, Worker, WorkerLost, Workers
from maxspan.engine.jobs.results import Results
from maxspan.engine.jobs.run import Joined, PartResult, Summary
from maxspan.engine.jobs.worker import (
    Answer,
    EndRun,
    GiveSamples,
    GiveSequences,
    JoinRun,
    Request,
    Samples,
    Settings,
    TakePart,
)
from maxspan.engine.kernel.compiled import CompiledRules
from maxspan.engine.kernel.survivors import LineStore
from maxspan.engine.match import RuleMatch
from maxspan.errors import Problem, SourceError
from maxspan.rules.model import Rule
from maxspan.sources.files import EventFiles
from maxspan.sources.finding import shown

_SMALLEST_PART: Final = 1 << 20
_LARGEST_PART: Final = 32 << 20
_PARTS_EACH: Final = 16
#: parts that one worker is asked for at once, so that it need not wait
_AHEAD: Final = 2


@dataclass(eq=False)
class _Run:
    """A run as it is followed here: who reads it, what has come of it, how far it is."""

    plan: Plan
    worker: Worker
    last: Part
    results: Results
    summary: Summary | None = None
    ending: bool = False
    joining: bool = False


class JobsDetector:
    """Runs rules over `files` by `jobs` processes.

    `chunks` gives the matches of single events, a list for each chunk that has some; then `finish` all others. What is
    wrong with files goes to `files.problems`. When a worker is lost, `chunks` and `finish` raise SourceError, and
    `files.problems` says what it was reading. `close` ends all workers, whatever they do.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        files: EventFiles,
        *,
        jobs: int,
        ignore_index: bool = False,
        part_bytes: int | None = None,
        chunk_bytes: int = 65536,
        method: Method | None = None,
    ) -> None:
        self.counters = Counters()
        self.files = files
        self.bytes_done = 0
        self._jobs, self._method = jobs, method
        self._ignore_index, self._chunk_bytes = ignore_index, chunk_bytes
        self._compiled = CompiledRules(rules, ignore_index=ignore_index)
        share = files.total_bytes // (jobs * _PARTS_EACH)
        size = part_bytes or max(_SMALLEST_PART, min(_LARGEST_PART, share))
        self._parts = Parts(files, jobs=jobs, part_bytes=size, chunk_bytes=chunk_bytes)
        self._passes: list[_Pass] = []
        self._joining = Joining(self._compiled, self.counters)

    def chunks(self) -> Iterator[list[RuleMatch]]:
        """Read everything; gives the matches of single events chunk by chunk, and empty lists while nothing comes."""
        reading = self._pass(self._compiled, self._joining, ordered=True)
        for found in reading.run():
            self.bytes_done = reading.bytes_done
            yield found
        reading.close()

    def finish(self) -> list[RuleMatch]:
        """Give what only the end decides."""
        out = list(self._joining.finish())
        rules = [rule.rule for rule in self._compiled.rules if rule.number in self._joining.unsure]
        if rules:
            out += self._once_more(rules)
        self.counters.matches += len(out)
        failures = (self._joining.failure, self._parts.failure, *(one.failure for one in self._passes))
        failure = next(filter(None, failures), "")
        if failure:
            message = f"lines cannot be kept in a temporary file ({failure}): they stay in memory"
            self.counters.note(Problem("no-space", message, "warning", hint="set TMPDIR to a folder with room"))
        self.close()
        return out

    def _once_more(self, rules: list[Rule]) -> list[RuleMatch]:
        """Run rules whose events were not in order over everything again."""
        compiled = CompiledRules(rules, ignore_index=self._ignore_index)
        counters = Counters()
        joining = Joining(compiled, counters)
        reading = self._pass(compiled, joining, ordered=False)
        out = [match for found in reading.run() for match in found]
        out += joining.finish()
        joining.close()
        if self._parts.lost or counters.events != self.counters.events:
            message = "events that are not in order could not be read a second time"
            self.counters.note(Problem("changed-input", message, hint="do not change event files while they are read"))
            self.counters.late += max(1, self.counters.events - counters.events)
        return out

    def _pass(self, compiled: CompiledRules, joining: Joining, *, ordered: bool) -> _Pass:
        rules = [rule.rule for rule in compiled.rules]
        settings = Settings(rules, self._ignore_index, ordered, self._chunk_bytes, compiled)
        planning = Planning(self._parts, total_bytes=self.files.total_bytes, jobs=self._jobs)
        workers = Workers(settings, self._jobs, self._method)
        problems = self.files.problems if ordered else []
        out = _Pass(workers, planning, joining, problems, self.files.problems)
        self._passes.append(out)
        return out

    def close(self) -> None:
        """End all workers."""
        for one in self._passes:
            one.close()
        self._parts.close()
        self._joining.close()


class _Pass:
    """One reading of everything: asks workers, follows runs, and hands on their results in the order of the input."""

    def __init__(
        self,
        workers: Workers,
        planning: Planning,
        joining: Joining,
        problems: list[Problem],
        failures: list[Problem],
    ) -> None:
        self.bytes_done = 0
        self._workers, self._planning, self._joining = workers, planning, joining
        self._problems, self._failures = problems, failures
        self._runs: dict[int, _Run] = {}
        self._reading: dict[Worker, _Run] = {}
        self._begun: int | None = None
        self._store = LineStore()

    @property
    def failure(self) -> str:
        """Say why results stay in memory, if they have to."""
        return self._store.failure

    def run(self) -> Iterator[list[RuleMatch]]:
        """Read everything. Raises SourceError when a worker is lost."""
        try:
            self._feed()
            while any(worker.asked for worker in self._workers.all):
                for worker in self._workers.ready():
                    self._take(worker, *worker.answer())
                yield from self._in_turn()
                self._feed()
                yield []
            self._take_samples()
        except WorkerLost as lost:
            self._failures.append(_problem(lost))
            raise SourceError(str(lost)) from None

    def close(self) -> None:
        self._workers.close()
        self._store.close()

    def _take_samples(self) -> None:
        """Ask for the events of samples that have an event for each stage: workers keep them until now."""
        rules = self._joining.complete_samples()
        if rules:
            for worker in self._workers.all:
                worker.ask(GiveSamples(rules))
            for worker in self._workers.all:
                _, answer = worker.answer()
                assert isinstance(answer, Samples)
                for samples in answer.samples:
                    self._joining.take_samples(samples)

    # --- asking ------------------------------------------------------------------------------------------------------

    def _feed(self) -> None:
        """Give work to all who can take some."""
        self._ask_to_join()
        waiting = self._first()
        for worker in self._workers.all:
            run = self._reading.get(worker)
            if waiting is not None and waiting.worker is worker and waiting.summary is not None:
                continue  # what it has to join may be much: it is sent when nothing else is under way
            if run is None:
                plan = self._planning.next_run()
                if plan is None:
                    continue
                run = self._reading[worker] = self._runs[plan.number] = _Run(
                    plan, worker, plan.first, Results(self._store)
                )
            self._ask(run)

    def _ask(self, run: _Run) -> None:
        parts, worker = run.plan.parts, run.worker
        while parts and len(worker.asked) < _AHEAD:
            if parts[0][1].kind == "chunks" and worker.asked:
                return
            _, run.last = parts.popleft()
            worker.ask(TakePart(run.plan.number, run.last))
        if not parts and not run.ending and len(worker.asked) < _AHEAD:
            run.ending = True
            worker.ask(EndRun(run.plan.number, self._is_last(run)))

    def _ask_to_join(self) -> None:
        first = self._first()
        if first is None or first.summary is None or first.joining or first.worker.asked:
            return
        first.joining = True
        states = self._joining.states_for(first.summary)
        first.worker.ask(JoinRun(first.plan.number, states, self._is_last(first)))

    def _is_last(self, run: _Run) -> bool:
        return self._planning.is_over and run.plan.number == max(self._runs)

    def _first(self) -> _Run | None:
        return self._runs[min(self._runs)] if self._runs else None

    # --- answers -----------------------------------------------------------------------------------------------------

    def _take(self, worker: Worker, request: Request, answer: Answer) -> None:
        assert not isinstance(request, GiveSamples)
        run = self._runs[request.number]
        match answer:
            case PartResult():
                assert isinstance(request, TakePart)
                self.bytes_done += request.part.size
                run.results.add(answer, waits=run is not self._first())
            case Summary():
                run.summary = answer
                del self._reading[worker]
            case Joined():
                if isinstance(request, GiveSequences):
                    self._joining.take_sequences(answer)
                else:
                    assert run.summary is not None
                    self._joining.join(run.plan.number, run.last, run.summary, answer)
                if answer.more:
                    worker.ask(GiveSequences(run.plan.number))
                else:
                    del self._runs[run.plan.number]

    def _in_turn(self) -> Iterator[list[RuleMatch]]:
        """Hand on what has come of the first run that is not over."""
        first = self._first()
        if first is None:
            return
        number = first.plan.number
        if self._begun != number:
            self._begun = number
            self._joining.begin(number, first.plan.first)
        while first.results:
            result = first.results.next()
            for problem in self._joining.source_problems(number, result):
                if problem not in self._problems:
                    self._problems.append(problem)
            yield from self._joining.take(number, result)


def _problem(lost: WorkerLost) -> Problem:
    """Say what a worker was doing when it was lost."""
    hint = "the results are not complete; scan again, with fewer --jobs if memory was short"
    request = lost.request
    if isinstance(request, TakePart):
        part = request.part
        where = f" while it read bytes {part.begin:,} to {part.end or part.begin + part.size:,}" * (
            part.kind == "range"
        )
        return Problem("worker-lost", f"{lost}{where}", path=shown(part.path), hint=hint)
    return Problem("worker-lost", str(lost), hint=hint)


def detect(
    rules: Sequence[Rule], paths: Sequence[str | os.PathLike[str]], *, jobs: int, ignore_index: bool = False
) -> Iterator[RuleMatch]:
    """Run rules over event files by `jobs` processes; matches of single events come first, in the order of the input.

    Raises SourceError when a worker is lost.
    """
    detector = JobsDetector(rules, EventFiles(paths), jobs=jobs, ignore_index=ignore_index)
    try:
        for found in detector.chunks():
            yield from found
        yield from detector.finish()
    finally:
        detector.close()
