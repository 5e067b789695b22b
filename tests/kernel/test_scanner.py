"""The compiled scanner reads what the Python way reads: same events, pieces and counters, whatever the bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import maxspan
from maxspan.engine.detector import Counters
from maxspan.engine.kernel import native
from maxspan.engine.kernel.compiled import CompiledRules
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.reader import Reader, ScanReader, StructReader
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk
from maxspan.sources.timestamps import parse_timestamp_ns

pytestmark = pytest.mark.skipif(
    native.scan is None, reason="the compiled part of the kernel is not there: it needs a C compiler at installation"
)

QUERIES = (
    'process where event.type == "start" and process.name : ("b?sh", "*K*", "*\u00e9*")',
    'process where process.args : "-*" and process.name == "sh" and not process.args : ("*x*", "?")',
    'any where event.action == "a" or fields.x == "1" or _id == "1"',
    'file where file.path : ("/tmp/*", "*/etc/*/a?", "*") and n == 1',
    "any where n == 1.0 or n == true or n == -0",
    "any where n > 3 and process.name == null",
    'any where k012345678901234567890123456789012345.z == "long" or `\u00e9`.`\u00e9` : "\u00c9*"',
    'any where process.name in~ ("\u017fh", "\u212a", "ss", "\u00df") or process.name != "q" and a.b.c.d.e == "deep"',
    'any where process.name == "new\\nline" or process.name : "quo\\"te*"',
)


@pytest.fixture(autouse=True, scope="module")
def way() -> Iterator[None]:
    """Run once: both ways are compared here."""
    yield


def rules_of(*queries: str, **fields: Any) -> list[Rule]:
    return [
        Rule(id=str(number), name=str(number), type="eql", query=query, plan=maxspan.parse(query), **fields)
        for number, query in enumerate(queries)
    ]


def in_python(rules: list[Rule], **options: Any) -> CompiledRules:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "scan", None)
        return CompiledRules(rules, **options)


@cache
def ways() -> tuple[CompiledRules, CompiledRules]:
    rules = rules_of(*QUERIES, index=("logs-*", "-logs-b*"))
    return CompiledRules(rules), in_python(rules)


def reader_of(compiled: CompiledRules) -> tuple[Reader, Counters]:
    counters = Counters()
    if compiled.scanning is not None:
        return ScanReader(compiled, compiled.scanning, counters), counters
    return StructReader(compiled, counters), counters


def seen(compiled: CompiledRules, chunks: list[bytes]) -> tuple[list[Any], list[Any]]:
    """Give all that a reader says of chunks: its candidates with every field, and what it counted."""
    reader, counters = reader_of(compiled)
    names = sorted(compiled._read(table.name for table in compiled.tree.tables.values()))
    out: list[Any] = []
    first = 1
    for data in chunks:
        for c in reader.read(Chunk(data, "p", first)):
            fields = [[(type(value), value) for value in c.fields.get(name, ())] for name in names]
            out.append(
                (c.mask, c.position, c.path, c.number, c.index, c.id, c.raw, c.time_ns("@timestamp"), c.hosts, fields)
            )
        first += data.count(b"\n")
    problems = [(one.code, one.message, one.line) for one in counters.problems]
    return out, [counters.events, counters.unreadable, counters.bytes, problems]


def check(*chunks: bytes) -> tuple[list[Any], list[Any]]:
    scanned, python = ways()
    expected = seen(python, list(chunks))
    assert seen(scanned, list(chunks)) == expected
    return expected


# --- laws ------------------------------------------------------------------------------------------------------------

SPACES = st.sampled_from([b""] * 8 + [b" ", b"\t", b"\r", b" \r\t", b"\x0b", b"\0"])
KEYS = st.one_of(
    st.sampled_from(
        (
            *("event", "type", "category", "action", "process", "name", "args", "n", "fields", "x", "_id", "_index"),
            *(
                "@timestamp",
                "host",
                "id",
                "file",
                "path",
                "a",
                "b",
                "c",
                "d",
                "e",
                "\u00e9",
                "z",
                "",
                "sort",
                "_source",
            ),
            *("k012345678901234567890123456789012345", "event.type", "process.name", "a.b", "k" * 29, "k" * 30),
        )
    ),
    st.text(max_size=3),
)
WORDS = st.one_of(
    st.sampled_from(
        (
            *(
                "start",
                "process",
                "file",
                "bash",
                "BASH",
                "sh",
                "\u212a",
                "K",
                "\u017fh",
                "\u00df",
                "ss",
                "-x",
                "1",
                "a",
            ),
            *(
                "/tmp/a",
                "/etc/x/ab",
                "long",
                "deep",
                "new\nline",
                'quo"te',
                "\0",
                "\u00c9a",
                "h" * 70,
                "logs-a",
                "logs-b",
            ),
            *("2024-05-01T10:00:00.5Z", "2024-05-01T10:00:60Z", "2024-02-30T10:00:00Z", "\U0001f600", "\ud800", "\x7f"),
        )
    ),
    st.text(max_size=4),
)
NUMBERS = st.sampled_from(
    (
        *("0", "-0", "1", "1.0", "-0.0", "4", "01", "1.", ".5", "-", "+1", "1e0", "1E2", "9" * 18, "9" * 19, "1" * 400),
        *("1e999", "0.00000000000000001", "NaN", "-Infinity", "true", "false", "null", "nul", "True", "''"),
    )
)


def quoted(text: str, how: int) -> bytes:
    """Write a text as JSON: as it is, by its shortest escapes, or with each character escaped."""
    if how == 2:
        units = text.encode("utf-16-be", "surrogatepass")
        return b'"' + b"".join(b"\\u" + units[n : n + 2].hex().encode() for n in range(0, len(units), 2)) + b'"'
    out = json.dumps(text, ensure_ascii=how == 1).replace("/", "\\/" if how == 1 else "/")
    return out.encode("utf-8", "surrogatepass")


strings = st.builds(quoted, WORDS, st.sampled_from([0, 0, 0, 1, 2]))
keys = st.builds(quoted, KEYS, st.sampled_from([0] * 12 + [1, 2]))


def listed(parts: list[bytes], ends: bytes, space: bytes) -> bytes:
    return ends[:1] + space + (space + b"," + space).join(parts) + space + ends[1:]


def objects(values: st.SearchStrategy[bytes], most: int = 6) -> st.SearchStrategy[bytes]:
    member = st.builds(lambda key, space, value: key + space + b":" + space + value, keys, SPACES, values)
    return st.builds(listed, st.lists(member, max_size=most), st.just(b"{}"), SPACES)


values = st.recursive(
    st.one_of(strings, NUMBERS.map(str.encode)),
    lambda inner: st.one_of(st.builds(listed, st.lists(inner, max_size=3), st.just(b"[]"), SPACES), objects(inner, 3)),
    max_leaves=6,
)


@st.composite
def usual(draw: st.DrawFn) -> bytes:
    """An event as most are, with an odd value here and there."""

    def value(*words: str) -> bytes:
        if draw(st.integers(0, 5)):
            return json.dumps(draw(st.sampled_from(words))).encode()
        return draw(values)

    return b'{"@timestamp":%s,"event":{"category":%s,"type":%s},"process":{"name":%s,"args":[%s,%s]},"n":%s%s}' % (
        value("2024-05-01T10:00:00.5Z", "2024-05-01T10:00:01Z"),
        value("process", "file"),
        value("start", "end"),
        value("bash", "sh", "kk"),
        value("-x", "y"),
        value("-", "xx"),
        draw(st.sampled_from([b"1", b"1.0", b"5", b"true"])),
        draw(
            st.sampled_from([b"", b"", b',"n":1', b',"event.type":"start"', b',"_source":{}', b',"fields":{"x":"1"}'])
        ),
    )


wrapped = st.builds(
    lambda before, name, inner, after: b'{%s"%s":%s%s}' % (before, name, inner, after),
    st.sampled_from([b"", b'"_id":"1",', b'"_index":"logs-a",', b'"_index":"logs-b","_id":"x",', b'"x":1,']),
    st.sampled_from([b"_source", b"fields"]),
    st.one_of(usual(), values),
    st.sampled_from([b"", b',"sort":[1]', b',"_id":"2"', b',"y":1', b',"_source":null', b',"fields":{}']),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    line = bytearray(draw(st.one_of(usual(), wrapped)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(line)))
        how = draw(st.integers(0, 2))
        if how == 0:
            line[place:] = b""
        elif how == 1:
            line[place : place + 1] = draw(st.binary(max_size=2))
        else:
            line[place:place] = draw(
                st.sampled_from(
                    [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\xff", b"\xed\xa0\x80", b"\\u"]
                )
            )
    return bytes(line)


lines = st.one_of(
    usual(),
    usual(),
    objects(values),
    wrapped,
    damaged(),
    values,
    st.sampled_from([b"", b" \r", b"\x0b", b"\xef\xbb\xbf{}"]),
)


@given(st.lists(lines, max_size=12), st.lists(st.integers(0, 2000), max_size=3), SPACES)
@example([b'{"n":1}', b'{"n":1}{"n":1}', b'{"n":1} x', b"\xef\xbb\xbf" + b'{"n":1}'], [], b"")
def test_whatever_the_bytes(given_: list[bytes], cuts: list[int], last: bytes) -> None:
    """Chunks may be cut anywhere; scanners remember what came in the examples before."""
    data = b"\n".join(given_) + last
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    check(*(data[begin:end] for begin, end in pairwise(places)))


@given(st.lists(lines, max_size=8))
def test_matches_are_those_of_the_reference(given_: list[bytes]) -> None:
    scanned, _ = ways()
    rules = [one.rule for one in scanned.rules]
    data = b"\n".join(given_)
    told = []
    for detector in (ReferenceDetector(rules), KernelDetector(rules, compiled=scanned)):
        found = [*detector.feed(Chunk(data)), *detector.finish()]
        matches = sorted((m.rule.id, e.position, e.line, e.raw, e.timestamp_ns) for m in found for e in m.events if e)
        told.append((matches, detector.counters.events, detector.counters.unreadable))
    assert told[0] == told[1]


digits = st.text("0123456789", max_size=11)
times = st.one_of(
    st.datetimes().map(lambda time: time.isoformat() + "Z"),
    st.builds(
        lambda time, rest: f"{time:%Y-%m-%dT%H:%M:%S}{rest}", st.datetimes(), st.sampled_from(["Z", ".Z", ".0Z"])
    ),
    st.builds(
        lambda part, mark: f"2024-05-01T10:00:00{mark}{part}Z", digits, st.sampled_from([".", ",", "", "\u0661"])
    ),
    st.builds(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{}{}".format,
        st.sampled_from([0, 1677, 1678, 1699, 1700, 1900, 1970, 2000, 2023, 2024, 2250, 2251, 2262, 9999]),
        st.integers(0, 13),
        st.integers(0, 32),
        st.integers(0, 25),
        st.integers(0, 61),
        st.integers(0, 61),
        digits,
        st.sampled_from(["Z", "z", "", "+00:00", "ZZ", " Z"]),
    ),
    st.from_regex(
        r"[0-9]{4}[-/.][0-9 ]{2}-[0-9+]{2}[Tt ][0-9]{2}:[0-9]{2}[:.][0-9]{2}(\.[0-9_]{1,9})?Z", fullmatch=True
    ),
)


@given(st.lists(times, min_size=1, max_size=20))
@example(["1700-03-01T00:00:00Z", "1700-02-29T00:00:00Z", "2000-02-29T23:59:59.999999999Z", "2250-12-31T23:59:59Z"])
def test_times_are_those_that_python_reads(given_: list[str]) -> None:
    scanner = plain_scanner("t")
    rows = list(scanner.scan(b"\n".join(json.dumps({"t": text}).encode() for text in given_)))
    assert len(rows) == len(given_)
    for text, row in zip(given_, rows, strict=True):
        assert row[0] == text
        assert row.time(0) in (None, parse_timestamp_ns(text))
    usual_form = json.dumps({"t": "2024-05-01T10:00:00.123456789Z"}).encode()
    assert [row.time(0) for row in scanner.scan(usual_form)] == [1714557600123456789]


# --- cases -----------------------------------------------------------------------------------------------------------


def plain_scanner(*fields: str) -> Any:
    """Make a scanner of fields without conditions: each line that is plain is a row with the mask 1."""
    assert native.scan is not None
    decode = json.JSONDecoder().decode
    answers = (lambda row: -1, lambda row: 1, None, None, None, lambda text: decode(text.decode()))
    return native.scan.Scanner(fields, (), (), 1, *answers)


STRICT = {
    b"{}": True,
    b'{"a":1}': True,
    b' \t\r{"a":1}\r\t ': True,
    b'{\r"a"\t:\r1 }': True,
    b'{"a":"\\u0000\\/\\"\\\\\\b\\f\\n\\r\\t"}': True,
    b'{"a":"\\ud7ff\\ue000"}': True,
    b'{"a":"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"}': True,
    b'{"a":123456789012345678}': True,
    b'{"a":[1,"x",null,true,false,-0,0.5]}': True,
    b'{"x":[[{"a":[]}]]}': True,
    b'{"a":' + b'{"b":' * 40 + b"1" + b"}" * 41: True,
    b'{"a":1,"a":2}': False,
    b'{"b":{"c":1},"b":null}': False,
    b'{"b":{"c":1,"c":1}}': False,
    b'{"b":1}': False,
    b'{"b":[]}': False,
    b'{"a":[{}]}': False,
    b'{"a":[[]]}': False,
    b'{"b.c":1}': False,
    b'{"b\\u002ec":1}': False,
    b'{"\\u0061":1}': False,
    b'{"_source":1}': False,
    b'{"fields":1}': False,
    b'{"_id":"1","fields":{"a":1},"sort":[]}': False,
    b'{"_id":"1","fields":{"a":1},"other":1}': True,
    b'{"_id":"1"}': True,
    b'{"a":"\\ud800"}': False,
    b'{"a":"\\uD83D\\uDE00"}': False,
    b'{"a":"\\u00g0"}': False,
    b'{"a":"\\x"}': False,
    b'{"a":"\x1f"}': False,
    b'{"a":"\0"}': False,
    b'{"a":1}\0': False,
    b'{"a":"\x80"}': False,
    b'{"a":"\xc1\xbf"}': False,
    b'{"a":"\xe0\x9f\xbf"}': False,
    b'{"a":"\xed\xa0\x80"}': False,
    b'{"a":"\xf0\x8f\xbf\xbf"}': False,
    b'{"a":"\xf4\x90\x80\x80"}': False,
    b'{"a":"\xf5\x80\x80\x80"}': False,
    b'{"a":1234567890123456789}': False,
    b'{"a":1e1}': False,
    b'{"a":01}': False,
    b'{"a":-}': False,
    b'{"a":1.}': False,
    b'{"a":.1}': False,
    b'{"a":+1}': False,
    b'{"a":nul}': False,
    b'{"a":NaN}': False,
    b'{"a":1,}': False,
    b'{,"a":1}': False,
    b'{"a":[1,]}': False,
    b'{"a":[,1]}': False,
    b'{"a" 1}': False,
    b'{"a"::1}': False,
    b'{"a":}': False,
    b"{'a':1}": False,
    b'{"a":1}{"a":1}': False,
    b'{"a":1}]': False,
    b'[{"a":1}]': False,
    b'"a"': False,
    b"1": False,
    b'\xef\xbb\xbf{"a":1}': False,
    b'\x0b{"a":1}': False,
    b'{"x":' + b"[" * 60 + b"]" * 60 + b"}": False,
}


@pytest.mark.parametrize("line", STRICT, ids=repr)
def test_what_is_plain(line: bytes) -> None:
    rows = list(plain_scanner("a", "b.c").scan(line))
    assert [row.mask for row in rows] == [1 if STRICT[line] else None]
    if not STRICT[line]:
        assert rows[0].line() == line.strip(b" \t\r")
    check(line)


@pytest.mark.parametrize("line", [one for one in STRICT if STRICT[one] and len(one) > 2], ids=repr)
def test_no_beginning_of_a_line_is_plain(line: bytes) -> None:
    """Nor is anything read beyond the end of the data."""
    scanner = plain_scanner("a", "b.c")
    whole = line.strip(b" \t\r")
    for end in range(1, len(whole)):
        assert [row.mask for row in scanner.scan(line.lstrip()[:end])] == [None], end


def test_values_are_as_they_were_written() -> None:
    values_ = [None, True, 0, -0.0, 1.0, "x", "", "a\0b", 'q"', "\u00e9", "\U0001f600", [], [None, 1, "y"], "\\"]
    scanner = plain_scanner("a", "b")
    for ascii_ in (True, False):
        text = b"\n".join(json.dumps({"a": one, "b": 1}, ensure_ascii=ascii_).encode() for one in values_)
        rows = {row.number: row for row in scanner.scan(text)}
        for number, value in enumerate(values_):
            row = rows[number]
            if row.mask is None:
                assert ascii_ and value == "\U0001f600"  # a pair of surrogates
                continue
            assert (repr(row[0]), row[1]) == (repr(value), 1)
            row.line()
            assert (repr(row[0]), row[1]) == (repr(value), 1)
            with pytest.raises(IndexError):
                row[2]
            with pytest.raises(IndexError):
                row[-1]


def test_rows_count_lines_and_events() -> None:
    scan = plain_scanner("a").scan(b'{"a":1}\n\n  \r\nbroken\n{"a":2}')
    assert [(row.number, row.before, row.mask) for row in scan] == [(0, 0, 1), (3, 1, None), (4, 1, 1)]
    assert scan.clean == 2


# --- keys that are guessed -------------------------------------------------------------------------------------------


def test_wrappers_after_keys_were_learned() -> None:
    usual_line = b'{"_id":"1","fields":{"n":1},"n":1,"process":{"name":"bash"}}'
    learned = b"\n".join([usual_line] * 70)
    hit = b'{"_id":"1","fields":{"n":1,"process":{"name":"bash"}},"sort":[1]}'
    told, counted = check(learned + b"\n" + hit + b"\n", learned + b"\n", hit, hit.replace(b"_id", b"_Id"))
    assert counted[0] == 143
    assert [one[5] for one in told if one[3] == 71] == ["1"], "the event is what is in `fields`"
    check(learned, b'{"n":1,"_source":{"n":1}}', b'{"_source":{"n":1}}', b'{"fields":{"n":1}}')


@pytest.mark.parametrize("length", [1, 12, 13, 14, 15, 27, 28, 29, 30, 31, 32, 33, 40, 100])
def test_keys_of_any_length_at_any_place(length: int) -> None:
    """Keys are told apart by all their bytes, however often one has come, up to the very end of the data."""
    key, other = "k" * (length - 1) + "a", "k" * (length - 1) + "b"
    scanner = plain_scanner("o." + key, key)
    line = json.dumps({"o": {key: 1}, key: 2}).encode()
    for _ in range(3):
        assert [(row[0], row[1]) for row in scanner.scan(b"\n".join([line] * 4))] == [(1, 2)] * 4
        for odd in ({"o": {other: 1}, other: 2}, {"o": {key + "a": 1}, key + "a": 2}):
            assert [(row[0], row[1]) for row in scanner.scan(json.dumps(odd).encode())] == [(None, None)]
        spaced = line.replace(b": ", b" : ")
        assert [(row[0], row[1]) for row in scanner.scan(spaced)] == [(1, 2)]
        tight = json.dumps({"o": {key: 1}, key: 2}, separators=(",", ":")).encode()
        assert [(row[0], row[1]) for row in scanner.scan(tight)] == [(1, 2)]
        for end in range(len(tight)):
            assert [row.mask for row in scanner.scan(tight[:end])] == [None] * bool(end)


def test_a_key_that_comes_twice_after_it_was_learned() -> None:
    scanner = plain_scanner("a", "b")
    assert len(list(scanner.scan(b'{"a":1,"b":2}\n' * 9 + b'{"b":1,"a":2}\n' * 9))) == 18
    pad = b',"z":"' + b"z" * 40 + b'"}'
    assert [row.mask for row in scanner.scan(b'{"a":1,"a":2' + pad + b'\n{"b":1,"b":1' + pad)] == [None, None]
