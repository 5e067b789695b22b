"""The first steps of a rule's investigation guide, as plain sentences."""

from __future__ import annotations

import re
from typing import Final

_HEADING: Final = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)[\s#:]*$")
_BOLD_HEADING: Final = re.compile(r"^\s*\*\*(.+?):?\*\*:?\s*$")
_ITEM: Final = re.compile(r"^(\s*)(?:[-*+]|\d{1,2}[.)])\s+(.*)$")
#: Sections in which first steps stand, best first; the last is every section that does not look like another matter.
_SECTIONS: Final = (
    re.compile(r"investigation steps|next steps|first steps|questions to answer|what to do", re.IGNORECASE),
    re.compile(r"triage|investigat", re.IGNORECASE),
    re.compile(r"response|remediation|if it is real|contain", re.IGNORECASE),
    re.compile(
        r"^(?!.*(false positive|harmless|cannot see|limit|related|setup|what it means|reference))", re.IGNORECASE
    ),
)
_PLUGIN: Final = re.compile(r"!\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}+")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS: Final = re.compile(r"(\*\*|__|`)")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")


def first_steps(note: str, count: int = 3) -> list[str]:
    """Give up to `count` first steps of a guide in Markdown: the first sentence of each item, without markup.

    Taken from the section on investigation steps, else from one on triage, else from one on response, else from any
    that is not about something else (false positives, setup); a guide without lists gives none.
    """
    sections = _sections(note)
    for wanted in _SECTIONS:
        for heading, lines in sections:
            if wanted.search(heading):
                steps = [plain for item in _items(lines) if (plain := _first_sentence(item))]
                if steps:
                    return steps[:count]
    return []


def _sections(note: str) -> list[tuple[str, list[str]]]:
    sections: list[tuple[str, list[str]]] = [("", [])]
    for line in note.splitlines():
        heading = _HEADING.match(line) or _BOLD_HEADING.match(line)
        if heading:
            sections.append((heading[1], []))
        else:
            sections[-1][1].append(line)
    return sections


def _items(lines: list[str]) -> list[str]:
    """Give the items of the outermost lists, continued lines joined."""
    items: list[str] = []
    outermost: int | None = None
    for line in lines:
        item = _ITEM.match(line)
        if item:
            indent = len(item[1].expandtabs())
            outermost = indent if outermost is None else min(outermost, indent)
            if indent <= outermost:
                items.append(item[2])
        elif items and line.strip() and line[:1] in " \t":
            items[-1] += " " + line.strip()
    return items


def _first_sentence(markdown: str) -> str:
    text = _MARKS.sub("", _LINK.sub(r"\1", _PLUGIN.sub("", markdown)))
    return _SENTENCE_END.split(" ".join(text.split()), maxsplit=1)[0]
