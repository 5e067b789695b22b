"""Case-insensitive comparison, one definition for the whole program.

Two strings are equal without regard to case when their folds are equal. The fold works code point by code point and
never changes the number of code points (Unicode's simple case folding), so wildcards (`?` is one character) mean the
same before and after it.
"""

from __future__ import annotations


def _fold_character(character: str) -> str:
    for candidate in (character.casefold(), character.lower()):
        if len(candidate) == 1:
            return candidate
    return character


def fold(text: str) -> str:
    """Fold the case of `text`; the result has as many code points as the text."""
    if text.isascii():
        return text.lower()
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(map(_fold_character, text))
