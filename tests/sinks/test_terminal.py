"""What people see: nothing that an event says can do more than be read."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from maxspan.alerts.group import AlertGroup
from maxspan.alerts.printable import clip, printable
from maxspan.sinks.matches import MatchStories, MatchTable
from maxspan.sinks.style import LONGEST, console_for
from maxspan.sinks.table import TableSink
from maxspan.sinks.terminal import TerminalSink
from tests.alerts.detections import SEQUENCE, a_rule, connection, groups, matches, started

SGR = re.compile(r"\x1b\[[0-9;]*m")
NOTE = "### Investigation steps\n\n- Look at it.\n- Ask somebody. More words.\n"


def terminal(found: list[AlertGroup], *, width: int = 80, colour: Any = "never", encoding: str = "utf-8") -> str:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding, newline="")
    sink = TerminalSink(console_for(file, colour=colour, width=width))
    for group in found:
        sink.write(group)
    sink.close()
    file.flush()
    return buffer.getvalue().decode(encoding)


def table(found: list[AlertGroup], *, width: int = 80, fold: bool = True, colour: Any = "never") -> str:
    file = io.StringIO()
    sink = TableSink(console_for(file, colour=colour, width=width), fold=fold)
    for group in found:
        sink.write(group)
    sink.close()
    return file.getvalue()


def test_an_alert_tells_what_where_when_who_and_what_next() -> None:
    (group,) = groups(
        a_rule(SEQUENCE, severity="high", risk_score=73, note=NOTE), [connection(), started()], "a.ndjson"
    )
    assert terminal([group]).splitlines() == [
        "▌ HIGH 73  A rule",
        "▌ victim · 2026-11-24 03:06:14.000 UTC · 2 events in 0.70 s · user 0",
        "▌",
        "▌ bash 10  bash -i",
        "▌ ├── ① 10.0.0.2 → 10.0.0.1:4242  tcp  connection attempted",
        "▌ └── ② sh 11  sh -i  (exec, +0.70s)",
        "▌",
        "▌ Next     1. Look at it.",
        "▌          2. Ask somebody.",
        "▌ Seen in  a.ndjson:1, :2",
        f"▌ Alert    {group.id[:16]} · rule rule-1",
        "",
    ]


def test_the_middle_of_a_long_command_line_is_left_out_and_counted() -> None:
    line = f"sh -c {'x' * 16_000} | nc 10.0.0.1 4242"
    process = {"pid": 11, "entity_id": "e11", "name": "sh", "command_line": line}
    (group,) = groups(a_rule("process where true"), [started(process=process, host={"name": "h" * 5_000})])
    told = terminal([group])
    assert len(told.splitlines()) < 40
    joined = "".join(part.removeprefix("▌").strip() for part in told.splitlines()).replace(" ", "")
    for length in (5_000, len(line)):
        assert f"[...{length - LONGEST:,}charactersleftout...]" in joined
    assert "sh-cxxx" in joined and "nc10.0.0.14242" in joined
    assert group.head["process"]["command_line"] == line  # the document has all of it


@given(st.text(alphabet=st.sampled_from("ab \x1b\n\u202e\U000e0041\u0301é"), max_size=200), st.integers(3, 80))
def test_what_is_left_of_a_text_fits_and_nothing_is_lost_uncounted(text: str, most: int) -> None:
    begin, left_out, end = clip(text, most)
    assert text.startswith(begin) and text.endswith(end)
    assert len(begin) + left_out + len(end) == len(text)
    assert len(printable(begin)) + len(printable(end)) <= most
    assert left_out or begin == text
    if len(printable(text)) <= most and len(text) <= most:
        assert (begin, left_out, end) == (text, 0, "")


def test_guide_and_attack_are_told_once_a_rule() -> None:
    found = groups(a_rule("process where true", note=NOTE), [started(), started("2026-11-24T04:00:00Z")])
    assert terminal(found).count("Look at it") == 1


def test_a_step_for_which_nothing_came_is_told() -> None:
    query = "sequence by host.id with maxspan=5s [network where true] ![file where true] [process where true]"
    shown = terminal(groups(a_rule(query), [connection(), started()]))
    assert "② nothing came, as the rule demands" in shown
    assert "③ sh 11" in shown


def test_without_unicode_everything_is_ascii() -> None:
    shown = terminal(groups(a_rule(SEQUENCE), [connection(), started()]), encoding="ascii")
    assert "10.0.0.2 -> 10.0.0.1:4242" in shown and "(1)" in shown


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = groups(a_rule(SEQUENCE, severity="high"), [connection(), started()])
    assert "\x1b" not in terminal(found, colour="auto")
    coloured = terminal(found, colour="always")
    assert "\x1b[1;31mHIGH\x1b[0m" in coloured
    assert SGR.sub("", coloured) == terminal(found)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in terminal(found, colour="auto")


def test_an_event_without_a_process_tells_its_facts() -> None:
    event = {
        "@timestamp": "2026-11-24T03:06:14Z",
        "event": {"category": "iam", "action": "CreateUser", "provider": "iam.example.com", "outcome": "success"},
        "source": {"ip": "9.9.9.9"},
        "user": {"name": "alice"},
    }
    shown = terminal(groups(a_rule("any where true"), [event]))
    assert "CreateUser" in shown
    assert re.search(r"Source +9\.9\.9\.9", shown) and re.search(r"Outcome +success", shown)


def test_the_table_folds_on_a_terminal_and_not_in_a_file() -> None:
    found = groups(a_rule(SEQUENCE, name="A rule with a rather long name", severity="high"), [connection(), started()])
    folded, whole = table(found, width=60), table(found, fold=False)
    assert all(len(line) <= 60 and line == line.rstrip() for line in folded.splitlines())
    assert [line.split("  ")[0] for line in whole.splitlines()] == ["TIME", "2026-11-24 03:06:14.000"]
    assert whole.splitlines()[1].endswith("bash connected to 10.0.0.1:4242; bash started sh -i")


TEXT = st.text(max_size=40) | st.sampled_from(
    [
        "\x1b[2J\x1b[H",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\click\x1b]8;;\x1b\\",
        "\x9b2J",
        "\x90q\x9c",
        "a\u202eb\u2066c",
        "[bold red]markup[/]",
        ":skull:",
        "\r\nHIGH 99  fake alert",
        "x" * 300,
        "ｗｉｄｅ" * 30,
        "\u0301" * 50,
        "\ud800",
        "\u2028\u2029\x85\x0b\x0c",
        "\x00",
        "",
    ]
)


@st.composite
def hostile_events(draw: st.DrawFn) -> list[Any]:
    events = [connection(), started()]
    for event in events:
        for name in draw(st.lists(st.sampled_from(PATHS), max_size=6, unique=True)):
            inner = event
            *path, last = name.split(".")
            for step in path:
                below = inner.setdefault(step, {})
                inner = below
            inner[last] = draw(TEXT | st.lists(TEXT, max_size=3))
    return events


PATHS = [
    "host.name",
    "user.name",
    "process.name",
    "process.command_line",
    "process.pid",
    "process.args",
    "process.executable",
    "event.action",
    "event.provider",
    "network.transport",
    "source.ip",
    "source.port",
    "destination.ip",
    "destination.port",
    "message",
    "dns.question.name",
    "process.parent.command_line",
    "process.parent.name",
]


def check(shown: str, width: int) -> None:
    plain = SGR.sub("", shown)
    bad = [character for character in plain if not character.isprintable() and character != "\n"]
    assert bad == []
    assert all(cell_len(line) <= width for line in plain.split("\n"))


@settings(max_examples=60)
@given(hostile_events(), TEXT, st.sampled_from([20, 40, 80, 200]), st.sampled_from(["always", "never"]))
def test_no_control_character_reaches_the_terminal(events: list[Any], name: str, width: int, colour: Any) -> None:
    rule = a_rule(
        SEQUENCE, name=name, id="r" + name, note=f"### Investigation steps\n- {name}", path=name, severity="high"
    )
    lines = [json.dumps(event).encode() for event in events]
    found = groups(rule, lines, name)
    check(terminal(found, width=width, colour=colour), width)
    check(table(found, width=max(width, 40), colour=colour), max(width, 40))
    check(table(found, fold=False, colour=colour), 10**6)
    single = groups(a_rule("any where true", name=name, rule_name_override="message"), lines, name)
    check(terminal(single, width=width, colour=colour), width)
    file = io.StringIO()
    console = console_for(file, colour=colour, width=width)
    stories, rows = MatchStories(console), MatchTable(console, [name or "x", "process.args"], fold=True)
    for match in matches(rule, lines, name):
        stories.write(match)
        rows.write(match)
    stories.close()
    rows.close()
    check(file.getvalue(), width)
