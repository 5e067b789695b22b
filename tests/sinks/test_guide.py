"""The first steps that an investigation guide advises."""

from __future__ import annotations

import pytest

from maxspan.sinks.guide import first_steps

GUIDE = """## Triage and analysis

### Investigating It

Some words.

- Not this one.

#### Possible investigation steps:

- Look at the **parent** process, and at `process.args`. Then think.
  - A detail that stays out.
- Ask [the owner](https://example.org/x) of the host
  whether it was them.
* !{osquery{"label":"x","query":"SELECT 1"}}
1. Number three.
2. Number four.

### False positive analysis

- Harmless things.
"""


def test_first_sentences_of_the_steps() -> None:
    assert first_steps(GUIDE) == [
        "Look at the parent process, and at process.args.",
        "Ask the owner of the host whether it was them.",
        "Number three.",
    ]
    assert first_steps(GUIDE, 1) == ["Look at the parent process, and at process.args."]


@pytest.mark.parametrize(
    ("note", "steps"),
    [
        ("", []),
        ("Only words.", []),
        ("### False positives\n\n- None known.", []),
        ("### Response and remediation\n- Isolate it.", ["Isolate it."]),
        ("### What it means\n\n- x\n\n### Questions to answer\n\n- Who started it?", ["Who started it?"]),
        ("**Triage**\n\n- First.\n\n**Setup**\n\n- Not this.", ["First."]),
        ("- Without any heading.", ["Without any heading."]),
    ],
)
def test_where_steps_are_looked_for(note: str, steps: list[str]) -> None:
    assert first_steps(note) == steps


def test_a_long_guide_takes_no_long_time() -> None:
    assert first_steps("### Investigation steps\n- " + "!{" * 20_000 + "x" * 20_000)
