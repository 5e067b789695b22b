"""The part of the kernel that is compiled, where it could be: lines of JSON to the events that fulfil something.

It is optional. Without a C compiler at installation, or with `MAXSPAN_NATIVE=0` in the environment, `Scanner` is None,
and the kernel does the same in Python, more slowly.

json.h      strict JSON: where a value ends; NULL for all that is not plain
memo.h      what is remembered: numbers by bytes, masks by number
row.h       one line that was read: where its fields are
scan.c      chunks of lines -> rows that fulfil something
scanning    what Python answers: what a value leaves possible, in which order fields are asked
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maxspan.engine.kernel.native import _scan

Scanner: type[_scan.Scanner] | None = None

if os.environ.get("MAXSPAN_NATIVE", "1") != "0":
    with suppress(ImportError):
        Scanner = import_module("maxspan.engine.kernel.native._scan").Scanner
