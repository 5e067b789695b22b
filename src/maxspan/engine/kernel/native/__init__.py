"""The part of the kernel that is compiled, where it could be: lines of JSON to the events that fulfil something.

It is optional. Without a C compiler at installation, or with `MAXSPAN_NATIVE=0` in the environment, `scan` is None, and
the kernel does the same in Python, more slowly.

scan.c      chunks of lines -> rows that fulfil something; the others are included there
scanner.h   what a scanner is made of
making.h    making it of what Python tells
reading.h   one line: whether it is plain, and where its fields are (json.h: where a value ends; names.h: keys)
asking.h    what an event fulfils; what is not known is asked of Python, and remembered (memo.h)
values.h    the same for values of columns (rows.h: what that leaves of rows)
lines.h     rows of columns -> lines, as if they had been read (pieces.h: values of which they are written)
matcher.h   texts to the words and wildcards that they fulfil
narrowing.h what of an event continues nothing, and what may wait until something does
skip.h      what is passed over: the hosts (lane.h), the stages (stages.h), the keys that they wait for (keys.h)
parked.h    events that wait
waiting.h   streams: events that wait for their turn
aside.h     runs of a batch: what was put aside until it is known what comes before
times.h     the usual form of a time
row.h       one line that was read: where its fields are
scanning    what Python answers: what a value leaves possible, in which order fields are asked
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from types import ModuleType

#: what this side agrees on with scan.c
_INTERFACE = 7

#: the compiled module, see _scan.pyi
scan: ModuleType | None = None

if os.environ.get("MAXSPAN_NATIVE", "1") != "0":
    with suppress(ImportError):
        scan = import_module("maxspan.engine.kernel.native._scan")
    if getattr(scan, "INTERFACE", 0) != _INTERFACE:
        scan = None  # built from older sources
