"""An alert that reads at a glance: what, where, when, who started whom, what it means, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from maxspan.alerts.fields import Fields, first
from maxspan.alerts.group import AlertGroup
from maxspan.sinks import style
from maxspan.sinks.guide import first_steps
from maxspan.sinks.layout import Barred, Narrowed
from maxspan.sinks.process_tree import Deed, Process, process_tree
from maxspan.sinks.reading import Reading, read
from maxspan.sinks.style import BOLD, DIM, Signs, clipped, joined, shown

#: Fields that are told where no process tells the story: label, then names of which the first present counts.
_FACTS = (
    ("Provider", ("cloud.service.name", "event.provider", "event.module")),
    ("Account", ("cloud.account.id", "cloud.project.id", "organization.id", "cloud.account.name")),
    ("Source", ("source.ip", "source.address", "client.ip")),
    ("Country", ("source.geo.country_name", "source.geo.country_iso_code")),
    ("Agent", ("user_agent.original",)),
    ("Target", ("destination.ip", "destination.domain", "url.full", "url.original", "target.entity.id")),
    ("Outcome", ("event.outcome",)),
    ("Message", ("message", "event.reason")),
)
_LONGEST_FACT = 400


class TerminalSink:
    """Prints alerts for people. Guide and ATT&CK of a rule are told with its first alert and not repeated."""

    def __init__(self, console: Console, *, steps: int = 3) -> None:
        self._console = console
        self._signs = style.signs_for(console.encoding)
        self._steps = steps
        self._told: set[str] = set()

    def write(self, group: AlertGroup) -> None:
        rule = str(group.head["kibana.alert.rule.uuid"])
        body = alert_view(group, self._signs, guide_steps=0 if rule in self._told else self._steps)
        self._told.add(rule)
        self._console.print(Barred(body, self._signs.bar, style.BAR_STYLES.get(group.severity, DIM)))
        self._console.print()

    def close(self) -> None:
        self._console.file.flush()


def alert_view(group: AlertGroup, signs: Signs, *, guide_steps: int) -> RenderableType:
    """Put one detection together; `guide_steps` of 0 leaves out what belongs to the rule (ATT&CK, guide)."""
    reading = read(group)
    where = _where_and_when(reading, signs)
    parts: list[RenderableType] = [_title(group), *([where] if where.plain else []), Text()]
    parts += story(reading, signs)
    parts += [Text(), Narrowed(_notes(group, signs, guide_steps), style.READING_WIDTH)]
    return Group(*parts)


def _title(group: AlertGroup) -> Text:
    badge = shown(group.severity.upper(), style.SEVERITY_STYLES.get(group.severity, BOLD))
    score = Text(f"{group.risk_score:g}", style=DIM)
    name = shown(group.rule_name, BOLD)
    kind = Text("  building block", style=DIM) if group.is_building_block else Text()
    return Text.assemble(badge, " ", score, "  ", name, kind)


def _where_and_when(reading: Reading, signs: Signs) -> Text:
    count = len(reading.events)
    parts = [
        clipped(reading.host, BOLD),
        Text(reading.time),
        Text(f"{count} events in {reading.duration}" if count > 1 and reading.duration else ""),
        clipped(f"user {reading.user}" if reading.user else ""),
    ]
    return joined(parts, f" {signs.dot} ")


def story(reading: Reading, signs: Signs) -> list[RenderableType]:
    """Draw the processes of a detection as trees, each with what it did; then what no process is known for."""
    tree = process_tree(reading.events)
    out: list[RenderableType] = [_drawn(root, reading, signs) for root in tree.roots]
    out += [_deed(deed, reading, signs) for deed in tree.others]
    if tree.others:
        out.append(Padding(_facts(reading.events), (0, 0, 0, 2)))
    out += [Text(f"{signs.step(step)} nothing came, as the rule demands", style=DIM) for step in reading.missing]
    return out


def _drawn(root: Process, reading: Reading, signs: Signs) -> Tree:
    tree = Tree(_process(root, reading, signs), guide_style=DIM)
    pending = [(root, tree)]
    while pending:
        process, branch = pending.pop()
        for deed in process.deeds:
            branch.add(_deed(deed, reading, signs))
        pending += [(child, branch.add(_process(child, reading, signs))) for child in process.children][::-1]
    return tree


def _process(process: Process, reading: Reading, signs: Signs) -> RenderableType:
    """Name, pid and command line; a further line for each command line that an exec put in its place."""
    label = joined([clipped(process.name or "?", BOLD), Text(process.pid and _digits(process.pid))], " ")
    steps = [joined([_sign(deed, reading, signs), _how(deed, reading)], " ") for deed in process.steps[1:]]
    steps = [_how(deed, reading) for deed in process.steps[:1]] + steps
    first_line = joined([*(_sign(deed, reading, signs) for deed in process.steps[:1]), label], " ")
    commands = [clipped(command) for command in process.commands if command != process.name or process.commands[1:]]
    lines = [joined([first_line, *commands[:1], *steps], "  ")]
    lines += [joined([Text("then", style=DIM), command], " ") for command in commands[1:]]
    for line in lines:
        line.overflow = "fold"
    return Group(*lines)


def _digits(pid: str) -> str:
    return pid if pid.isascii() and pid.isdigit() else shown(pid).plain


def _sign(deed: Deed, reading: Reading, signs: Signs) -> Text:
    many = len(reading.events) + len(reading.missing) > 1
    return Text(signs.step(reading.number(deed.step)) if many else "", style=BOLD)


def _how(deed: Deed, reading: Reading) -> Text:
    said = ", ".join(part for part in (shown(deed.text).plain, reading.after(deed.step)) if part)
    return Text(f"({said})" if said else "", style=DIM)


def _deed(deed: Deed, reading: Reading, signs: Signs) -> Text:
    text = deed.text if signs.unicode else deed.text.replace("→", signs.arrow)
    after = reading.after(deed.step)
    line = joined([_sign(deed, reading, signs), shown(text), Text(f"({after})" if after else "", style=DIM)], " ")
    line.overflow = "fold"
    return line


def _facts(events: Sequence[Fields]) -> Table:
    table = _two_columns()
    for label, names in _FACTS:
        told = list(dict.fromkeys(value for event in events if (value := first(event, *names))))
        if told:
            table.add_row(
                Text(label, style=DIM), joined([clipped(value, most=_LONGEST_FACT) for value in told[:4]], ", ")
            )
    return table


def _two_columns() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _notes(group: AlertGroup, signs: Signs, guide_steps: int) -> Table:
    table = _two_columns()
    rows: list[tuple[str, RenderableType]] = []
    if guide_steps:
        rows.append(("ATT&CK", Group(*_attack(group.head, signs))))
        rows.append(("Next", _next(first_steps(str(group.head.get("kibana.alert.rule.note", "")), guide_steps))))
    rows.append(("Seen in", shown(short_places(group.places), DIM)))
    rows.append(("Alert", _ids(group, signs)))
    for label, told in rows:
        if not _is_empty(told):
            table.add_row(Text(label, style=DIM), told)
    return table


def _is_empty(told: RenderableType) -> bool:
    match told:
        case Text():
            return not told.plain
        case Group():
            return not told.renderables
        case Table():
            return not told.row_count
        case _:
            return False


def _next(steps: Sequence[str]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for number, step in enumerate(steps, start=1):
        table.add_row(Text(f"{number}."), shown(step))
    return table


def _ids(group: AlertGroup, signs: Signs) -> Text:
    rule = shown(f"rule {group.head['kibana.alert.rule.rule_id']}", DIM)
    return joined([Text(group.id[:16], style=DIM), rule], f" {signs.dot} ")


def _attack(head: dict[str, Any], signs: Signs) -> list[Text]:
    """Give one line a technique: tactic, technique, sub-technique with its id."""
    between = f" {signs.then} "
    lines: list[Text] = []
    for entry in head.get("kibana.alert.rule.threat", ()):
        tactic = _named(entry.get("tactic", {}))
        techniques = entry.get("technique", ())
        for technique in techniques:
            below = technique.get("subtechnique", ()) or (None,)
            for sub in below:
                names = [tactic, _named(technique), _named(sub) if sub else ""]
                id_ = shown(f"({(sub or technique).get('id', '')})", DIM)
                lines.append(joined([joined([shown(name) for name in names], between), id_], " "))
        if not techniques:
            lines.append(shown(tactic))
    return lines


def _named(entry: dict[str, Any]) -> str:
    return str(entry.get("name") or entry.get("id") or "")


def short_places(places: Sequence[str]) -> str:
    """Write `file:3, :5` where several events stand in one file."""
    out: list[str] = []
    last = ""
    for place in dict.fromkeys(places):
        path, _, line = place.rpartition(":")
        out.append(f":{line}" if path and path == last and line.isdigit() else place)
        last = path
    return ", ".join(out)
