"""Parquet files for tests, drawn at random, and what both ways of reading them give."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from maxspan.engine.detector import Detector
from maxspan.engine.kernel import native, parquet
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.match import RuleMatch
from maxspan.sources.files import EventFiles
from tests.laws.eql_texts import NAMES, texts

pa = pytest.importorskip("pyarrow", reason="reading Parquet by columns wants pyarrow")
pq = pytest.importorskip("pyarrow.parquet", reason="reading Parquet by columns wants pyarrow")

NOON = datetime.datetime(2024, 5, 1, 10, 0, 0)
MOMENTS = [NOON + datetime.timedelta(milliseconds=n) for n in (0, 1, 4000, 4999, 5001, 70_000)]
words = st.one_of(texts, st.sampled_from(["100%", "%b%s", "a\0b", "\x7f\x1b[2J", "2024-05-01T10:00:00Z"]))


def _moments(unit: str, zone: str | None) -> Any:
    wanted = [moment.replace(microsecond=0) for moment in MOMENTS] if unit == "s" else MOMENTS
    return pa.timestamp(unit, zone), st.sampled_from(wanted)


TYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "string": (pa.string(), words),
    "large_string": (pa.large_string(), words),
    "bool": (pa.bool_(), st.booleans()),
    "int8": (pa.int8(), st.integers(-3, 3)),
    "int64": (pa.int64(), st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63)])),
    "uint64": (pa.uint64(), st.integers(0, 3) | st.just(2**64 - 1)),
    "float": (pa.float32(), st.floats(width=32)),
    "double": (pa.float64(), st.floats() | st.sampled_from([1.0, -0.0, 1e22])),
    "time us": _moments("us", None),
    "time ms": _moments("ms", None),
    "time ns": _moments("ns", None),
    "time us utc": _moments("us", "UTC"),
    "time ms rome": _moments("ms", "Europe/Rome"),
    "time ns rome": _moments("ns", "Europe/Rome"),
    "date": (pa.date32(), st.dates()),
    "time of day": (pa.time64("us"), st.times()),
    "decimal": (pa.decimal128(10, 2), st.decimals(-99, 99, places=2).map(lambda d: decimal.Decimal(d))),
    "binary": (pa.binary(), st.binary(max_size=4)),
    "fixed": (pa.binary(2), st.binary(min_size=2, max_size=2)),
    "words": (pa.list_(pa.string()), st.lists(words | st.none(), max_size=4)),
    "large words": (pa.large_list(pa.large_string()), st.lists(words | st.none(), max_size=4)),
    "numbers": (pa.list_(pa.int64()), st.lists(st.integers(-3, 3) | st.none(), max_size=3)),
    "doubles": (pa.list_(pa.float64()), st.lists(st.floats() | st.none(), max_size=3)),
    "moments": (pa.list_(pa.timestamp("ns")), st.lists(st.sampled_from(MOMENTS) | st.none(), max_size=2)),
    "moments utc": (pa.list_(pa.timestamp("ns", "UTC")), st.lists(st.sampled_from(MOMENTS) | st.none(), max_size=2)),
    "lists": (pa.list_(pa.list_(pa.string())), st.lists(st.lists(words, max_size=2) | st.none(), max_size=2)),
    "category": (pa.dictionary(pa.int32(), pa.string()), words),
}
_pairs = st.fixed_dictionaries({"name": words | st.none(), "pid": st.integers(-3, 3) | st.none()})
STRUCTS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "structs": (
        pa.list_(pa.struct([("name", pa.string()), ("pid", pa.int64())])),
        st.lists(_pairs | st.none(), max_size=3),
    ),
    "map": (
        pa.map_(pa.string(), pa.string()),
        st.dictionaries(words, words | st.none(), max_size=3).map(lambda found: list(found.items())),
    ),
    "times in structs": (
        pa.list_(pa.struct([("name", pa.timestamp("us", "UTC")), ("pid", pa.date32())])),
        st.lists(st.fixed_dictionaries({"name": st.sampled_from(MOMENTS), "pid": st.dates() | st.none()}), max_size=2),
    ),
}
CATEGORIES = st.sampled_from(["a", "b", "my-cat", "A"])


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """Draw a table: some fields of the rules, nested or dotted or both, and columns that no rule reads."""
    rows = draw(st.integers(1, 14))

    def column(type_: Any, values: st.SearchStrategy[Any]) -> Any:
        drawn = draw(st.lists(values | st.none(), min_size=rows, max_size=rows))
        return (
            pa.array(drawn, pa.string()).dictionary_encode()
            if pa.types.is_dictionary(type_)
            else pa.array(drawn, type_)
        )

    columns: list[tuple[tuple[str, ...], Any]] = []
    moments = st.sampled_from(
        ["time us", "time ms", "time ns", "time us utc", "time ms rome", "time ns rome", "string"]
    )
    columns.append((("@timestamp",), column(*TYPES[draw(moments)])))
    categories = draw(
        st.sampled_from([(pa.string(), CATEGORIES), (pa.list_(pa.string()), st.lists(CATEGORIES, max_size=2))])
    )
    columns.append((("event", "category") if draw(st.booleans()) else ("event.category",), column(*categories)))
    if draw(st.booleans()):
        columns.append((("event", "sequence"), column(pa.int64(), st.integers(0, 2))))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=6, unique=True)):
        path = tuple(name.split(".")) if draw(st.booleans()) else (name,)
        columns.append((path, column(*TYPES[draw(st.sampled_from(sorted(TYPES)))])))
    if draw(st.booleans()):
        kind = draw(st.sampled_from(sorted(STRUCTS)))
        columns.append(((draw(st.sampled_from(["other", "more%s"])),), column(*STRUCTS[kind])))
    for number, kind in enumerate(draw(st.lists(st.sampled_from(sorted(TYPES)), max_size=3))):
        inner = draw(st.sampled_from([("x", "y", f"n{number}"), ("x", f"m{number}"), (f'odd "{number}"\n',)]))
        columns.append((inner, column(*TYPES[kind])))
    masks = st.lists(st.booleans(), min_size=rows, max_size=rows)
    return _table(draw(st.permutations(columns)), rows, lambda: draw(masks))


def _table(columns: Iterable[tuple[tuple[str, ...], Any]], rows: int, mask: Callable[[], list[bool]]) -> Any:
    tree: dict[str, Any] = {}
    for path, array in columns:
        here = tree
        for part in path[:-1]:
            inner = here.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            here = inner
        else:
            here.setdefault(path[-1], array)
    return pa.table({name: _array(branch, mask) for name, branch in tree.items()})


def _array(branch: Any, mask: Callable[[], list[bool]]) -> Any:
    if not isinstance(branch, dict):
        return branch
    children = [_array(inner, mask) for inner in branch.values()]
    return pa.StructArray.from_arrays(children, list(branch), mask=pa.array(mask()))


def write(table: Any, path: Path, **options: Any) -> Path:
    pq.write_table(table, path, version="2.6", **options)
    return path


def whole(match: RuleMatch) -> Any:
    """Give all that a match says."""
    events = [
        None if e is None else (e.raw, e.timestamp_ns, e.position, e.path, e.line, e.index, e.id) for e in match.events
    ]
    return match.rule.id, events, match.join_keys


def by_rows(detector: Detector, files: EventFiles) -> list[Any]:
    found = [match for chunk in files.chunks() for match in detector.feed(chunk)]
    return sorted(map(whole, [*found, *detector.finish()]), key=repr)


def by_columns(detector: Detector, files: EventFiles) -> list[Any]:
    found = [match for some in parquet.feed_files(detector, files) for match in some]
    return sorted(map(whole, [*found, *detector.finish()]), key=repr)


def said(detector: Detector, files: EventFiles) -> Any:
    """Give what a run counted and complained of."""
    counters = detector.counters
    counts = (counters.events, counters.unreadable, counters.without_timestamp, counters.late, counters.matches)
    return counts, counters.by_kind, counters.problems, files.problems, files.bytes_done


def assert_same(rules: list[Any], paths: list[Path], make: Callable[..., Any] = KernelDetector) -> list[Any]:
    """Run both ways over the same files; give the matches, which are the same."""
    one, other = make(rules), make(rules)
    rows, columns = EventFiles(paths), EventFiles(paths)
    expected = by_rows(one, rows)
    found = by_columns(other, columns)
    assert found == expected
    assert said(other, columns) == said(one, rows)
    return found


_WAYS: dict[str, dict[str, Any]] = {
    "scanned": {},
    "scanned, with little room": {
        "maxspan.engine.kernel.parked.MOST_BYTES": 600,
        "maxspan.engine.kernel.parked.LOOK_AFTER": 1,
        "maxspan.engine.kernel.open_keys.MOST_KEYS": 1,
        "maxspan.engine.kernel.columns.taking._SLICE": 2,
    },
    "in Python": {"maxspan.engine.kernel.native.scan": None},
}


@pytest.fixture(autouse=True, scope="module", params=list(_WAYS))
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a module in one of the ways that columns can go."""
    if request.param.startswith("scanned") and native.scan is None:
        pytest.skip("the compiled part of the kernel is not there: it needs a C compiler at installation")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _WAYS[request.param].items():
            patch.setattr(name, value)
        yield


@pytest.fixture
def no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where rows are read after all."""

    def refuse(*args: Any) -> Any:
        raise AssertionError("read row by row")

    monkeypatch.setattr(parquet, "_by_rows", refuse)
