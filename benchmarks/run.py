"""Every figure of docs/benchmarks.md, each beside what it is compared with: `python -m benchmarks.run`.

Answers are compared before times count. Results go to `out/benchmarks.json` and `out/benchmarks.md`; with `--write`
the table and the growth plot in docs/ are replaced.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import generate, report
from benchmarks.measure import ROOT, Failed, Task, at_once, command_seconds, in_turn, peak_memory_mb

COUNTS = (1, 10, 50, 100, 285, 1000)


@dataclass(slots=True)
class Row:
    """One line of the table: what was measured, the goal, the figure, and the two things behind a ratio."""

    name: str
    goal: str
    figure: str
    reached: bool | None
    detail: str = ""


@dataclass(slots=True)
class Bench:
    """What is measured with: data, rules, how often, how much."""

    corpus: Path | None
    events: int
    repeats: int
    memory_bytes: int
    folder: Path

    # --- inputs ------------------------------------------------------------------------------------------------------

    def data(self, name: str, events: int, *, hard: bool = False) -> Path:
        path = self.folder / f"{name}-{events}.ndjson"
        if not path.exists():
            generate.write(path, events=events, hosts=20, seed=1, hard=hard, attacks=max(1, events // 8000))
        return path

    @property
    def easy(self) -> Path:
        return self.data("easy", self.events)

    @property
    def linux(self) -> list[str]:
        return [str(self.corpus / "rules" / "linux")] if self.corpus else []

    @property
    def all_rules(self) -> list[str]:
        return [str(self.corpus / "rules")] if self.corpus else []

    @property
    def founding(self) -> list[str]:
        return [str(ROOT / "rules" / "linux" / "potential_reverse_shell.toml")]

    # --- rows --------------------------------------------------------------------------------------------------------

    def against_floor(self, name: str, goal: float, rules: list[str], data: Path) -> Row:
        tasks = {key: Task(key, data, rules) for key in ("floor", "kernel")}
        in_turn(tasks, self.repeats)
        ratio = tasks["kernel"].median() / tasks["floor"].median()
        rules_run = tasks["kernel"].runs[0]["rule_count"]
        detail = f"{rules_run} rules, {_seconds(tasks)}, {sum(tasks['kernel'].answer.values())} matches"
        return Row(name, f"<= {goal} x decode floor", f"{ratio:.2f} x", ratio <= goal, detail)

    def one_rule(self) -> Row:
        return self.against_floor("one rule, NDJSON, 1 process", 1.15, self.founding, self.easy)

    def linux_rules(self) -> Row:
        return self.against_floor("Linux rules, NDJSON, 1 process", 1.6, self.linux, self.easy)

    def every_rule(self) -> Row:
        return self.against_floor("all runnable EQL rules at once", 2.5, self.all_rules, self.easy)

    def hard_data(self) -> Row:
        data = self.data("hard", self.events, hard=True)
        return self.against_floor("hard data (mostly unique args and paths)", 2.0, self.linux, data)

    def two_jobs(self) -> Row:
        data = self.data("easy", max(self.events, 2_400_000))
        tasks = {
            "kernel": Task("kernel", data, self.linux),
            "jobs": Task("jobs", data, self.linux, ["--jobs", "2"]),
        }
        in_turn(tasks, max(5, self.repeats))
        _same(tasks["kernel"].answer, tasks["jobs"].answer)
        ratio = tasks["kernel"].median() / tasks["jobs"].median()
        alone = [Task("kernel", data, self.linux) for _ in range(2)]
        for _ in range(self.repeats):
            at_once(alone)
        most = 2 * tasks["kernel"].median() / max(task.median() for task in alone)
        detail = f"{_seconds(tasks)}; two that share nothing, each with all of it at once: {most:.2f} x of one"
        return Row("--jobs 2", ">= 1.8 x of one process", f"{ratio:.2f} x", ratio >= 1.8, detail)

    def duckdb(self) -> Row:
        peer = Task("duckdb", self.easy, self.linux)
        return self._against(peer, "against DuckDB, the same rules as SQL", 15, "cpu", self.easy, self.repeats)

    def eql(self) -> Row:
        """Over many events, since maxspan meets most new values in the first; so the package runs over them once."""
        peer = Task("eql", self.data("easy", 24_000), self.linux)
        return self._against(peer, "against the package eql", 200, "seconds", self.data("easy", 400_000), 1)

    def _against(self, peer: Task, name: str, goal: float, what: str, data: Path, repeats: int) -> Row:
        """Compare with a peer on the rules that it runs and answers alike; the others are counted, not timed."""
        peer.run()
        truth = Task("kernel", peer.data, peer.rules)
        truth.run()
        differ = {rule for rule in truth.answer | peer.answer if truth.answer.get(rule) != peer.answer.get(rule)}
        excluded = peer.left_out | differ
        with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
            file.write("\n".join(_ids(peer.rules) - excluded))
            file.flush()
            tasks = {key: Task(key, data, peer.rules, ["--only", file.name]) for key in ("kernel", peer.name)}
            in_turn(tasks, repeats)
            in_turn({"kernel": tasks["kernel"]}, self.repeats - repeats)
        _same(tasks["kernel"].answer, tasks[peer.name].answer)
        ratio = tasks[peer.name].median(what) / tasks["kernel"].median(what)
        rules_run = tasks["kernel"].runs[0]["rule_count"]
        otherwise = len(differ - peer.left_out)
        size = f"{tasks['kernel'].runs[0]['events']:,} events"
        left_out = f"left out: {len(peer.left_out)} it can't run, {otherwise} it answers otherwise"
        detail = f"{rules_run} rules, {size}; {left_out}; "
        return Row(name, f">= {goal} x faster", f"{ratio:.0f} x", ratio >= goal, detail + _seconds(tasks, what))

    def polars(self) -> Row:
        return self._against_reading("polars", "Polars")

    def chdb(self) -> Row:
        return self._against_reading("chdb", "chDB")

    def _against_reading(self, key: str, peer: str) -> Row:
        """Compare all rules over a file with a peer that only reads their fields from it."""
        truth = Task("counted", self.easy, self.linux)
        truth.run()
        tasks = {name: Task(name, self.easy, self.linux) for name in ("kernel", key)}
        in_turn(tasks, self.repeats)
        _same(truth.answer, tasks[key].answer)
        ratio = tasks["kernel"].median("cpu") / tasks[key].median("cpu")
        name = f"Linux rules, against reading their fields with {peer}"
        return Row(name, "", f"{ratio:.2f} x", None, _seconds(tasks, "cpu"))

    def parquet(self) -> Row:
        data = self.easy.with_suffix(".parquet")
        if not data.exists():
            generate.write_parquet(self.easy)
        tasks = {key: Task(key, data, self.linux) for key in ("parquet_columns", "parquet")}
        in_turn(tasks, max(5, self.repeats))
        plain = Task("kernel", self.easy, self.linux)
        plain.run()
        _same(plain.answer, tasks["parquet"].answer)
        ratio = tasks["parquet"].median("cpu") / tasks["parquet_columns"].median("cpu")
        return Row("Parquet, Linux rules", "<= 2 x reading the columns", f"{ratio:.2f} x", ratio <= 2, _seconds(tasks))

    def latency(self) -> Row:
        task = Task("latency", self.easy, self.linux)
        in_turn({"latency": task}, self.repeats)
        median, p99 = task.median("median_us"), task.median("p99_us")
        figure = f"{median:.1f} us, p99 {p99:.1f} us"
        return Row("one event at a time, Linux rules", "<= 8 us, p99 <= 40 us", figure, median <= 8 and p99 <= 40)

    def memory(self) -> Row:
        command = [_maxspan(), "scan", "--format", "ndjson", "--quiet"]
        command += [part for path in self.linux for part in ("-r", path)]
        peak, status = peak_memory_mb(command, self.easy, self.memory_bytes)
        if status:
            raise Failed(f"maxspan scan ended with {status}")
        size = f"{self.memory_bytes / 1e9:.0f} GB"
        return Row(f"resident memory, {size} input", "<= 250 MB", f"{peak:.0f} MB", peak <= 250)

    def load_rules(self) -> Row:
        """The files of EQL rules alone, as the goal counts them."""
        rules = self.corpus / "rules" if self.corpus else ROOT / "rules"
        with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as chosen:
            for number, path in enumerate(_eql_files(rules)):
                (Path(chosen) / f"{number}-{path.name}").symlink_to(path.resolve())
            cold = Task("load", Path(chosen), [], env={"MAXSPAN_CACHE": "off"})
            warm = Task("load", Path(chosen), [], env={"XDG_CACHE_HOME": cache})
            warm.run()
            warm.runs.clear()
            in_turn({"cold": cold, "warm": warm}, self.repeats)
        figure = f"{cold.median():.2f} s cold, {warm.median():.2f} s warm"
        good = cold.median() <= 3 and warm.median() <= 0.5
        detail = f"{cold.runs[0]['rules']} EQL rules"
        return Row("load and compile the rules", "<= 3 s cold, <= 0.5 s warm", figure, good, detail)

    def help_text(self) -> Row:
        seconds = command_seconds([_maxspan(), "--help"], max(5, self.repeats))
        return Row("maxspan --help", "<= 0.15 s", f"{seconds:.3f} s", seconds <= 0.15)

    # --- growth ------------------------------------------------------------------------------------------------------

    def growth(self) -> dict[str, list[tuple[int, float]]]:
        """Seconds against the number of rules; DuckDB's include the making of its table."""
        data = self.data("easy", min(self.events, 50_000))
        out: dict[str, list[tuple[int, float]]] = {"maxspan": [], "DuckDB": []}
        for count in COUNTS:
            rules = self.linux if count <= 285 else self.all_rules
            for name, key in (("maxspan", "kernel"), ("DuckDB", "duckdb")):
                task = Task(key, data, rules, ["--first", str(count)])
                in_turn({key: task}, 1 if count > 100 and key == "duckdb" else self.repeats)
                out[name].append((task.runs[0]["rule_count"], task.median()))
        return out

    def rows(self) -> list[Callable[[], Row]]:
        shipped = [self.one_rule, self.memory, self.load_rules, self.help_text]
        if self.corpus is None:
            return shipped
        return [
            self.one_rule,
            self.linux_rules,
            self.every_rule,
            self.hard_data,
            self.two_jobs,
            self.duckdb,
            self.eql,
            self.polars,
            self.chdb,
            self.parquet,
            self.latency,
            self.memory,
            self.load_rules,
            self.help_text,
        ]


def _maxspan() -> str:
    return str(Path(sys.executable).parent / "maxspan")


def _ids(rules: list[str]) -> set[str]:
    from maxspan.rules.load import load_rules

    return {rule.id for rule in load_rules(rules or None).runnable}


def _eql_files(rules: Path) -> list[Path]:
    from maxspan.rules.load import load_rules

    found = load_rules([str(rules)]).rules
    return sorted({Path(rule.path) for rule in found if rule.runnable and rule.plan is not None})


def _same(ours: dict[str, int], theirs: dict[str, int]) -> None:
    if ours != theirs:
        differ = sorted(rule for rule in ours | theirs if ours.get(rule) != theirs.get(rule))
        raise Failed(f"the answers differ for {', '.join(differ[:5])}")


def _seconds(tasks: dict[str, Task], what: str = "seconds") -> str:
    unit = "s CPU" if what == "cpu" else "s"
    return ", ".join(f"{name} {task.median(what):.2f} {unit}" for name, task in tasks.items())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, help="a checkout of Elastic's detection rules (default: MAXSPAN_SHARED)")
    parser.add_argument("--full", action="store_true", help="400,000 events, five rounds, 10 GB for the memory row")
    parser.add_argument("--only", nargs="*", help="names of rows, such as linux_rules")
    parser.add_argument("--no-growth", action="store_true")
    parser.add_argument("--write", action="store_true", help="replace the table and the plot in docs/")
    args = parser.parse_args()
    bench = Bench(
        corpus=args.corpus or _shared_corpus(),
        events=400_000 if args.full else 100_000,
        repeats=5 if args.full else 3,
        memory_bytes=10 * 10**9 if args.full else 2 * 10**9,
        folder=ROOT / "benchmarks" / "data",
    )
    if bench.corpus is None:
        print("no rules of Elastic (--corpus, or MAXSPAN_SHARED): only the rows without them", file=sys.stderr)
    rows: list[Row] = []
    for measure in bench.rows():
        if args.only and measure.__name__ not in args.only:
            continue
        begin = time.perf_counter()
        try:
            row = measure()
        except Failed as failure:
            row = Row(measure.__name__, "", "failed", False, str(failure))
        rows.append(row)
        took = time.perf_counter() - begin
        print(f"{report.mark(row.reached)} {row.name}: {row.figure} ({row.goal}) {row.detail} [{took:.0f} s]")
    if args.only and args.write:  # the others stay as they were measured before
        fresh = {row.name: row for row in rows}
        rows = [fresh.get(row["name"], Row(**row)) for row in report.rows_before(ROOT / "out")]
    growth = None if args.no_growth or args.only or bench.corpus is None else bench.growth()
    report.write([asdict(row) for row in rows], growth, ROOT / "out", ROOT / "docs" if args.write else None)
    sys.exit(any(row.figure == "failed" for row in rows))


def _shared_corpus() -> Path | None:
    shared = os.environ.get("MAXSPAN_SHARED")
    corpus = Path(shared) / "corpus" / "elastic" if shared else None
    return corpus if corpus and corpus.is_dir() else None


if __name__ == "__main__":
    main()
