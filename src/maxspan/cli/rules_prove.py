"""`maxspan rules prove`: can each rule fire, and what only just does not make it fire?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

#: exit status as in `maxspan scan`: results that could not be written, Ctrl-C, the reader of a pipe went away
NOT_WRITTEN: Final = 4
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

if TYPE_CHECKING:
    from maxspan.prover.proof import Proof
    from maxspan.rules.model import Rule, Ruleset
    from maxspan.sinks.output import Output


@click.command("prove", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("-r", "--rules", "more", multiple=True, metavar="PATH", help="Rules: file, folder or glob; like PATH.")
@click.option("--rule", "wanted", multiple=True, metavar="ID|NAME", help="Only this rule; may be given several times.")
@click.option("--format", "form", type=click.Choice(["table", "json", "ndjson"]), default="table", show_default=True)
@click.option(
    "--emit",
    "into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write DIR/<rule id>/fires.ndjson, near-miss-N.ndjson, variant-N.ndjson and index.json.",
)
@click.option(
    "--variants", is_flag=True, help="Also try each value, pattern and side of an `or` of every rule (slower)."
)
@click.option(
    "--limit-seconds",
    type=click.FloatRange(min=0.01),
    default=10.0,
    show_default=True,
    help="Time for one rule; what is not found by then is reported as not proved.",
)
@click.option(
    "--fail-on-unproved", is_flag=True, help="Exit 1 when a rule does not fire or a near miss is wrong or lacking."
)
def command(
    paths: tuple[str, ...],
    more: tuple[str, ...],
    wanted: tuple[str, ...],
    form: str,
    into: Path | None,
    variants: bool,
    limit_seconds: float,
    fail_on_unproved: bool,
) -> None:
    """Prove for each rule that it can fire, and show the nearest event that does not make it fire.

    Without a PATH the rules that come with maxspan are proved. Rules that cannot run are counted, not tried.

    Exit status: 0 = ran, 1 = unproved rules with --fail-on-unproved, 2 = bad usage or rules with errors, 4 = results
    that could not be written.
    """
    from maxspan.alerts.printable import printable
    from maxspan.errors import SinkError
    from maxspan.prover.emit import emit
    from maxspan.prover.prove import prove
    from maxspan.prover.variants import with_variants
    from maxspan.rules.load import load_rules
    from maxspan.sinks.output import ClosedPipe, Output

    ruleset = load_rules([*paths, *more] or None)
    _complain(ruleset)
    chosen = _chosen(ruleset, wanted)
    proofs: list[Proof] = []
    failures: list[SinkError | KeyboardInterrupt] = []

    def run() -> Iterator[Proof]:
        """Prove one rule after the other; what ends that early is kept, so that what is known is still written."""
        with _progress(chosen) as rules:
            for rule in rules:
                try:
                    proof = prove(rule, limit_seconds=limit_seconds)
                    if variants:
                        proof = with_variants(proof, limit_seconds=limit_seconds)
                    if into is not None:
                        emit(proof, into)
                except (SinkError, KeyboardInterrupt) as error:
                    failures.append(error)
                    return
                proofs.append(proof)
                yield proof

    try:
        with Output() as output:
            _write(run(), form, output)
    except ClosedPipe:
        raise SystemExit(PIPE_CLOSED) from None
    except (SinkError, KeyboardInterrupt) as error:
        failures.append(error)
    if failures:
        told = str(failures[0]) if isinstance(failures[0], SinkError) else "interrupted"
        click.echo(f"error: {printable(told)}", err=True)
        click.echo(f"stopped after {len(proofs):,} of {len(chosen):,} rules", err=True)
        raise SystemExit(NOT_WRITTEN if isinstance(failures[0], SinkError) else INTERRUPTED)
    _summary(proofs, ruleset, into)
    if ruleset.errors:
        raise SystemExit(2)
    if fail_on_unproved and not all(proof.complete for proof in proofs):
        raise SystemExit(1)


def _complain(ruleset: Ruleset) -> None:
    from maxspan.alerts.printable import printable

    for problem in ruleset.errors:
        click.echo("\n".join(map(printable, problem.render().split("\n"))), err=True)


def _chosen(ruleset: Ruleset, wanted: Sequence[str]) -> list[Rule]:
    if not wanted:
        return list(ruleset.runnable)
    chosen: list[Rule] = []
    for text in wanted:
        rule = ruleset.get(text)
        if rule is None:
            raise click.UsageError(f"there is no rule with the id or name {text!r} among {len(ruleset)} rules")
        if not rule.runnable or rule.plan is None:
            raise click.UsageError(f"the rule {rule.name!r} cannot run: {rule.not_runnable}")
        chosen.append(rule)
    return list(dict.fromkeys(chosen))


def _progress(rules: list[Rule]) -> AbstractContextManager[Iterable[Rule]]:
    import sys

    hidden = not sys.stderr.isatty() or len(rules) < 20
    return click.progressbar(rules, label="proving", file=sys.stderr, hidden=hidden)


def _write(proofs: Iterable[Proof], form: str, output: Output) -> None:
    if form == "table":
        _table(proofs, output)
        return
    import msgspec

    from maxspan.prover.report import document

    encode = msgspec.json.Encoder().encode
    if form == "ndjson":
        for proof in proofs:
            output.write(encode(document(proof)) + b"\n")
            output.flush()
        return
    documents = [document(proof) for proof in proofs]
    output.write(msgspec.json.format(encode(documents), indent=2) + b"\n")


def _table(proofs: Iterable[Proof], output: Output) -> None:
    from rich.text import Text

    from maxspan.prover.report import near_miss_line, outcome_line, remarks
    from maxspan.sinks.output import text_file
    from maxspan.sinks.style import BOLD, DIM, console_for, shown
    from maxspan.sinks.table import Columns

    console = console_for(text_file(output))
    columns = Columns(console, ("rule", "fires", "near misses", "nearest that does not"), fold=console.is_terminal)
    for proof in proofs:
        nearest = proof.nearest
        columns.add(
            (
                shown(proof.rule.name),
                shown(outcome_line(proof), DIM if proof.status == "fires" else BOLD),
                Text(str(len(proof.near_misses))),
                shown(near_miss_line(nearest, proof) if nearest is not None else ""),
            )
        )
        for remark in remarks(proof):
            columns.add((Text(""), Text(""), Text(""), shown(f"note: {remark}", DIM)))
    columns.close()


def _summary(proofs: Sequence[Proof], ruleset: Ruleset, into: Path | None) -> None:
    count = Counter(proof.status for proof in proofs)
    misses = sum(len(proof.near_misses) for proof in proofs)
    wrong = sum(len(proof.wrong) + len(proof.unbroken) for proof in proofs)
    effectless = sum(len(proof.implied) for proof in proofs)
    cases = sum(len(proof.variants) for proof in proofs)
    said = [
        f"{count['fires']:,} of {len(proofs):,} rules can fire",
        f"{count['impossible']:,} cannot",
        f"{count['not proved']:,} not proved",
        f"{misses:,} near misses",
        *([f"{cases:,} variants"] if cases else []),
        f"{wrong:,} wrong or not found",
        f"{effectless:,} conditions without effect",
        f"{sum(proof.seconds for proof in proofs):.1f} s",
    ]
    click.echo("; ".join(said), err=True)
    if ruleset.not_runnable:
        click.echo(f"rules that cannot run here and were not tried: {len(ruleset.not_runnable):,}", err=True)
    if into is not None:
        click.echo(f"events written to {into}", err=True)
