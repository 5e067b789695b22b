"""One measured piece of work, in a process of its own: `python -m benchmarks.task NAME --data F --rules R` prints JSON.

`seconds` is wall time and `cpu` processor time of the work alone, children included; loading rules and importing
libraries come before. `answer` is the number of matches of each rule that has any, to be compared between tasks.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import fields
from maxspan.languages import plan
from maxspan.rules.model import Rule

CHUNK = 65536
#: what readers have to find alike
COUNTED = ("process.name", "file.path", "destination.ip")


@dataclass(slots=True)
class Work:
    """What a task gets, and the stop watch that it starts when its preparations are over."""

    data: Path
    rules: list[Rule]
    jobs: int = 1
    limit: int = 0
    out: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def measured(self) -> Iterator[None]:
        cpu, begin = _cpu(), time.perf_counter()
        yield
        self.out["seconds"] = time.perf_counter() - begin
        self.out["cpu"] = _cpu() - cpu

    @property
    def plans(self) -> list[Any]:
        return [rule.plan for rule in self.rules]

    def blocks(self) -> Iterator[bytes]:
        """Give the file in blocks of whole lines, as a reader that does nothing else would."""
        rest = b""
        with self.data.open("rb", buffering=0) as file:
            while block := file.read(CHUNK):
                cut = block.rfind(b"\n") + 1
                if not cut:
                    rest += block
                    continue
                yield rest + block[:cut]
                rest = block[cut:]
        if rest:
            yield rest


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def floor(work: Work) -> None:
    """Read the lines and decode the fields of the rules with msgspec: what every row-wise engine has to pay."""
    import msgspec

    decode = msgspec.json.Decoder(fields.struct(fields.fields_of(work.plans, data=work.data))).decode_lines
    with work.measured():
        work.out["events"] = sum(len(decode(block)) for block in work.blocks())


def counted(work: Work) -> None:
    """Count what the readers below are to give: events, and those with a value for some fields."""
    import msgspec

    decode = msgspec.json.Decoder(fields.struct(dict.fromkeys(COUNTED, "text"))).decode_lines
    read = [msgspec.to_builtins(event) for block in work.blocks() for event in decode(block)]
    have = Counter(name for event in read for name in COUNTED if _value(event, name) is not None)
    work.out["answer"] = {"events": len(read), **have}


def _value(event: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        event = (event or {}).get(part)  # type: ignore[assignment]
    return event


def polars(work: Work) -> None:
    """Read the fields of the rules with Polars, all threads, and do nothing with them."""
    import polars as pl

    schema = fields.polars_schema(fields.fields_of(work.plans, data=work.data))
    with work.measured():
        frame = pl.read_ndjson(work.data, schema=schema)
    have = {}
    for name in COUNTED:
        first, *path = name.split(".")
        column = pl.col(first)
        for part in path:
            column = column.struct.field(part)
        have[name] = frame.select(column.is_not_null().sum()).item()
    work.out["answer"] = {"events": frame.height, **have}


def chdb(work: Work) -> None:
    """Read the fields of the rules with chDB (ClickHouse), all threads, and do nothing with them."""
    import chdb as db

    columns = fields.clickhouse_columns(fields.fields_of(work.plans, data=work.data))
    source = f"file({_text(work.data)}, JSONEachRow, {_text(columns)})"
    settings = (
        "SETTINGS input_format_skip_unknown_fields = 1, input_format_json_ignore_unknown_keys_in_named_tuple = 1, "
        "input_format_json_defaults_for_missing_elements_in_named_tuple = 1"
    )
    with work.measured():
        db.query(f"INSERT INTO FUNCTION null({_text(columns)}) SELECT * FROM {source} {settings}")
    asked = ", ".join(f"countIf(isNotNull(`{name.replace('.', '`.`')}`))" for name in COUNTED)
    answer = db.query(f"SELECT count(), {asked} FROM {source} {settings}", "CSV")
    events, *have = map(int, str(answer).strip().split(","))
    work.out["answer"] = {"events": events, **dict(zip(COUNTED, have, strict=True))}


def kernel(work: Work) -> None:
    """maxspan over a file: reading, matching, and the whole event of every match."""
    from maxspan.engine.kernel.detector import KernelDetector
    from maxspan.sources.files import EventFiles

    detector = KernelDetector(work.rules)
    found: Counter[str] = Counter()
    with work.measured():
        for chunk in EventFiles([work.data]).chunks():
            found.update(match.rule.id for match in detector.feed(chunk))
        found.update(match.rule.id for match in detector.finish())
    work.out.update(answer=dict(found), events=detector.counters.events)


def jobs(work: Work) -> None:
    """The same over several processes."""
    from maxspan.engine.jobs.detector import JobsDetector
    from maxspan.sources.files import EventFiles

    detector = JobsDetector(work.rules, EventFiles([work.data]), jobs=work.jobs)
    found: Counter[str] = Counter()
    with work.measured():
        for matches in detector.chunks():
            found.update(match.rule.id for match in matches)
        found.update(match.rule.id for match in detector.finish())
    work.out["answer"] = dict(found)


def latency(work: Work) -> None:
    """One event at a time through a stream, decoding included: microseconds for each."""
    from maxspan.engine.kernel.detector import KernelDetector
    from maxspan.sources.chunk import Chunk

    detector = KernelDetector(work.rules, stream=True, lateness_ns=0)
    with work.data.open("rb") as file:
        chunks = [Chunk(line) for _, line in zip(range(60_000), file, strict=False)]
    for chunk in chunks[:20_000]:
        detector.feed(chunk)
    times: list[int] = []
    clock = time.perf_counter_ns
    with work.measured():
        for chunk in chunks[20_000:]:
            begin = clock()
            detector.feed(chunk)
            times.append(clock() - begin)
    times.sort()
    work.out.update(median_us=statistics.median(times) / 1000, p99_us=times[len(times) * 99 // 100] / 1000)


def parquet_columns(work: Work) -> None:
    """Read the columns of the rules from Parquet into Arrow, dictionaries kept."""
    import duckdb

    ndjson = work.data.with_suffix(".ndjson")
    wanted = fields.fields_of(work.plans, data=ndjson)
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    relation = connection.sql(f"SELECT * FROM read_parquet({_text(work.data)})")
    tops = dict(zip(relation.columns, relation.types, strict=True))
    columns = [expression for name in wanted if (expression := _parquet_path(name, tops))]
    with work.measured():
        read = connection.sql(f"SELECT {', '.join(columns)} FROM read_parquet({_text(work.data)})")
        work.out["events"] = sum(batch.num_rows for batch in read.to_arrow_reader(100_000))


def _parquet_path(name: str, tops: dict[str, Any]) -> str:
    """Write how DuckDB reads a field, "" where the file has no such column; `tops` are the types of columns."""
    members = tops
    path = name.split(".")
    for part in path[:-1]:
        type_ = members.get(part)
        members = dict(type_.children) if type_ is not None and type_.id == "struct" else {}
    return ".".join(f'"{part}"' for part in path) if path[-1] in members else ""


def parquet(work: Work) -> None:
    """maxspan over Parquet, by columns."""
    from maxspan.engine.kernel.detector import KernelDetector
    from maxspan.engine.kernel.parquet import feed_parquet

    detector = KernelDetector(work.rules)
    found: Counter[str] = Counter()
    with work.measured():
        for matches in feed_parquet(detector, work.data):
            found.update(match.rule.id for match in matches)
        found.update(match.rule.id for match in detector.finish())
    work.out["answer"] = dict(found)


def duckdb(work: Work) -> None:
    """The same rules as DuckDB SQL: one table of the columns they read, one query a rule, all threads."""
    import duckdb as db

    from benchmarks.eql_to_sql import Columns, Translator, Untranslatable, count_query, load_table

    types = fields.fields_of(work.plans, data=work.data)
    columns = Columns(types)
    translator = Translator(columns)
    queries, refused = {}, []
    for rule in work.rules:
        try:
            assert rule.plan is not None
            queries[rule.id] = count_query(rule.plan, translator)
        except Untranslatable:
            refused.append(rule.id)
    connection = db.connect()
    source = f"read_json({_text(work.data)}, format='newline_delimited', columns={fields.duckdb_columns(types)})"
    with work.measured():
        connection.execute(load_table(source, columns))
        counts = {rule: connection.execute(sql).fetchone() for rule, sql in queries.items()}
    answer = {rule: row[0] for rule, row in counts.items() if row and row[0]}
    work.out.update(answer=answer, left_out=refused)


def eql(work: Work) -> None:
    """The same rules with the package `eql`, in its Elasticsearch syntax, without those that it can't parse or run."""
    import msgspec

    decode = msgspec.json.Decoder().decode
    with work.data.open("rb") as file:
        trial = [decode(line) for _, line in zip(range(3000), file, strict=False)]
    lists = {name for name, type_ in fields.fields_of(work.plans, data=work.data).items() if type_ == "list"}
    rules = [rule for rule in work.rules if not _lists_in_sets(rule, lists) and _runs(rule, trial)]
    found: Counter[str] = Counter()
    engine = _engine(rules, found)
    with work.measured():
        with work.data.open("rb") as file:
            for number, line in enumerate(file):
                engine.stream_event(_event(number, decode(line)))
        engine.finalize()
    kept = {rule.id for rule in rules}
    work.out.update(answer=dict(found), left_out=[rule.id for rule in work.rules if rule.id not in kept])


def _engine(rules: list[Rule], found: Counter[str]) -> Any:
    import eql as package
    from eql.ast import EqlAnalytic
    from eql.parser import elasticsearch_syntax, ignore_missing_functions, parse_query

    engine = package.PythonEngine()
    for rule in rules:
        with elasticsearch_syntax, ignore_missing_functions:
            query = parse_query(rule.query)
        engine.add_analytic(EqlAnalytic(query=query, metadata={"id": rule.id}))
    engine.add_output_hook(lambda output: found.update([output.analytic_id]))
    return engine


def _event(number: int, document: dict[str, Any]) -> Any:
    """Give the package an event as it wants one: lists of one under `event` become scalars."""
    import eql as package

    document["event"] = {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in document["event"].items()}
    return package.Event(document["event"]["category"], number, document)


def _lists_in_sets(rule: Rule, lists: set[str]) -> bool:
    """Whether a rule asks if a list is `in (...)`: the package stops with a TypeError there."""
    assert rule.plan is not None
    leaves = (leaf for stage in plan.all_stages(rule.plan) for leaf in plan.leaves(stage.where))
    return any(
        isinstance(leaf, plan.In) and isinstance(leaf.operand, plan.Field) and leaf.operand.name in lists
        for leaf in leaves
    )


def _runs(rule: Rule, trial: list[dict[str, Any]]) -> bool:
    """Whether the package parses a rule and runs it over real events: a list where it wants a scalar stops it."""
    import eql as package

    try:
        engine = _engine([rule], Counter())
        for number, document in enumerate(trial):
            engine.stream_event(_event(number, document))
    except (package.EqlError, KeyError, ValueError, TypeError, AttributeError):
        return False
    return True


def reference(work: Work) -> None:
    """The reference evaluator, for the answer only."""
    from maxspan.engine.reference.detector import ReferenceDetector
    from maxspan.sources.files import EventFiles

    detector = ReferenceDetector(work.rules)
    with work.measured():
        for chunk in EventFiles([work.data]).chunks():
            detector.feed(chunk)
        found = Counter(match.rule.id for match in detector.finish())
    work.out["answer"] = dict(found)


def load(work: Work) -> None:
    """Load and compile the rules at `--data`; the cache is as the environment says."""
    from maxspan.rules.load import load_rules

    with work.measured():
        rules = load_rules([str(work.data)])
    work.out["rules"] = len(rules.runnable)


def _text(text: Path | str) -> str:
    return "'" + str(text).replace("'", "''") + "'"


WORK = (floor, counted, polars, chdb, kernel, jobs, latency, parquet_columns, parquet, duckdb, eql, reference, load)
TASKS: dict[str, Callable[[Work], None]] = {task.__name__: task for task in WORK}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.task", description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rules", nargs="*", default=[], help="files or folders; none for the rules shipped")
    parser.add_argument("--first", type=int, default=0, help="only that many rules")
    parser.add_argument("--only", type=Path, help="a file with ids of rules, one a line")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    work = Work(args.data, [] if args.task == "load" else _rules(args), args.jobs)
    TASKS[args.task](work)
    usage = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    work.out.update(task=args.task, rss_mb=round(usage / 1024, 1), rule_count=len(work.rules), pid=os.getpid())
    json.dump(work.out, sys.stdout)


def _rules(args: argparse.Namespace) -> list[Rule]:
    from maxspan.rules.load import load_rules

    rules = [rule for rule in load_rules(args.rules or None).runnable if rule.plan is not None]
    if args.only:
        wanted = set(args.only.read_text().split())
        rules = [rule for rule in rules if rule.id in wanted]
    if args.first and len(rules) > args.first:
        step = len(rules) / args.first
        rules = [rules[int(n * step)] for n in range(args.first)]
    return rules


if __name__ == "__main__":
    main()
