"""The part of the kernel that is compiled, where it could be: lines of JSON to the events that fulfil something.

It is optional. Without a C compiler at installation, or with `MAXSPAN_NATIVE=0` in the environment, `scan` is None, and
the kernel does the same in Python, more slowly.

json.h      strict JSON: where a value ends; NULL for all that is not plain
memo.h      what is remembered: numbers by bytes, masks by number
matcher.h   texts to the words and wildcards that they fulfil
times.h     the usual form of a time
lane.h      what is passed over
row.h       one line that was read: where its fields are
scan.c      chunks of lines -> rows that fulfil something
scanning    what Python answers: what a value leaves possible, in which order fields are asked
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from types import ModuleType

#: the compiled module, see _scan.pyi
scan: ModuleType | None = None

if os.environ.get("MAXSPAN_NATIVE", "1") != "0":
    with suppress(ImportError):
        scan = import_module("maxspan.engine.kernel.native._scan")
