"""The structs in Python against the types (BTF) that the compiler wrote into the built object."""

from __future__ import annotations

import re
import struct
from importlib import resources

import pytest

from maxspan.sensor import decode, layout, probes, records
from maxspan.sensor.values import DESCRIPTOR_TYPES

OBJECT = resources.files("maxspan.sensor") / "bpf" / "sensor.bpf.o"
KIND_INT, KIND_PTR, KIND_ARRAY, KIND_STRUCT, KIND_UNION, KIND_ENUM = 1, 2, 3, 4, 5, 6
KIND_FUNC_PROTO, KIND_VAR, KIND_DATASEC, KIND_DECL_TAG, KIND_ENUM64 = 13, 14, 15, 17, 19
NAMELESS = (8, 9, 10, 11)  # typedef, volatile, const, restrict: the size is that of the type behind


def section(data: bytes, wanted: str) -> bytes:
    """Give the bytes of a section of a 64-bit little-endian ELF file."""
    offset, size, count, names = (
        struct.unpack_from("<Q", data, 0x28)[0],
        *struct.unpack_from("<HHH", data, 0x3A),
    )
    headers = [struct.unpack_from("<IIQQQQ", data, offset + i * size) for i in range(count)]
    strings = data[headers[names][4] :]
    for name, _, _, _, start, length in headers:
        if strings[name : strings.index(b"\0", name)].decode() == wanted:
            return data[start : start + length]
    raise AssertionError(f"no section {wanted}")


class Btf:
    """Types of an object: structs with members, and enumerators."""

    def __init__(self, data: bytes) -> None:
        _, _, _, header, type_at, type_bytes, text_at, text_bytes = struct.unpack_from("<HBBIIIII", data)
        self.text = data[header + text_at : header + text_at + text_bytes]
        types = data[header + type_at : header + type_at + type_bytes]
        self.types: list[tuple[str, int, int, list[tuple[int, ...]]]] = [("", 0, 0, [])]
        self.enumerators: dict[str, int] = {}
        at = 0
        while at < len(types):
            name, info, size = struct.unpack_from("<III", types, at)
            at += 12
            count, kind = info & 0xFFFF, info >> 24 & 0x1F
            form = {
                KIND_INT: "<I",
                KIND_ARRAY: "<III",
                KIND_STRUCT: "<III",
                KIND_UNION: "<III",
                KIND_ENUM: "<Ii",
                KIND_FUNC_PROTO: "<II",
                KIND_VAR: "<I",
                KIND_DATASEC: "<III",
                KIND_DECL_TAG: "<I",
                KIND_ENUM64: "<III",
            }.get(kind, "")
            single = kind in (KIND_INT, KIND_ARRAY, KIND_VAR, KIND_DECL_TAG)
            rows = []
            for _ in range(1 if single else count if form else 0):
                rows.append(struct.unpack_from(form, types, at))
                at += struct.calcsize(form)
            if kind == KIND_ENUM:
                self.enumerators.update((self.name(row[0]), row[1]) for row in rows)
            self.types.append((self.name(name), kind, size, rows))

    def name(self, offset: int) -> str:
        return self.text[offset : self.text.index(b"\0", offset)].decode()

    def resolve(self, number: int) -> int:
        while self.types[number][1] in NAMELESS:
            number = self.types[number][2]
        return number

    def size(self, number: int) -> int:
        _, kind, size, rows = self.types[self.resolve(number)]
        if kind == KIND_ARRAY:
            return self.size(rows[0][0]) * rows[0][2]
        return 8 if kind == KIND_PTR else size

    def flat(self, number: int, prefix: str = "", at: int = 0) -> list[tuple[str, int, int]]:
        """Leaves as (name, offset, size), as Layout.flat gives them."""
        _, kind, _, rows = self.types[self.resolve(number)]
        out = []
        if kind == KIND_ARRAY and self.types[self.resolve(rows[0][0])][1] == KIND_STRUCT:
            step = self.size(rows[0][0])
            for i in range(rows[0][2]):
                out += self.flat(rows[0][0], f"{prefix}.{i}", at + i * step)
        elif kind == KIND_STRUCT:
            for name, member, bits in rows:
                out += self.flat(member, f"{prefix}.{self.name(name)}", at + bits // 8)
        else:
            out.append((prefix.removeprefix("."), at, self.size(number)))
        return out

    def struct(self, name: str) -> int:
        return next(i for i, one in enumerate(self.types) if one[0] == name and one[1] == KIND_STRUCT)


@pytest.fixture(scope="module")
def btf() -> Btf:
    return Btf(section(OBJECT.read_bytes(), ".BTF"))


@pytest.mark.parametrize("one", layout.LAYOUTS, ids=lambda one: one.name)
def test_struct_is_the_same_on_both_sides(btf: Btf, one: layout.Layout) -> None:
    number = btf.struct(one.name)
    assert one.flat() == btf.flat(number)
    assert one.size == btf.size(number)
    assert one.size % 8 == 0


def test_every_record_of_the_header_has_a_layout() -> None:
    header = (OBJECT.parent / "layout.h").read_text()  # type: ignore[attr-defined]
    declared = set(re.findall(r"^struct (\w+) \{", header, re.M))
    assert declared == {one.name for one in layout.LAYOUTS}


def test_kinds_flags_and_operations_have_the_same_numbers(btf: Btf) -> None:
    header = (OBJECT.parent / "layout.h").read_text()  # type: ignore[attr-defined]
    values = {name: int(value) for name, value in re.findall(r"^\t([A-Z_]+) = (\d+),", header, re.M)}
    # What BTF knows of an enum must agree with the text (the compiler leaves out enums that no type mentions).
    assert {name: value for name, value in btf.enumerators.items() if name in values}.items() <= values.items()
    kinds = {name.removeprefix("KIND_").lower(): value for name, value in values.items() if name.startswith("KIND_")}
    assert kinds == {cls.kind: number for cls, number in layout.KIND_NUMBERS.items()}
    assert values["KINDS"] == layout.KIND_SLOTS
    flags = {name.removeprefix("FLAG_"): value for name, value in values.items() if name.startswith("FLAG_")}
    assert flags == {name: getattr(records, name) for name in flags}
    operations = {name.removeprefix("OP_").lower(): value for name, value in values.items() if name.startswith("OP_")}
    assert operations == {name: number for number, name in enumerate(decode.OPERATIONS, 1)}
    assert operations == {name: getattr(probes, name.upper()) for name in operations}
    changes = {n.removeprefix("CHANGE_").lower(): value for n, value in values.items() if n.startswith("CHANGE_")}
    assert changes == {name: number for number, name in enumerate(decode.CHANGES, 1)}
    assert changes == {name: getattr(probes, name.upper()) for name in changes}
    fds = [name.removeprefix("FD_").lower() for name in values if name.startswith("FD_")]
    assert [x.removesuffix("_device") for x in fds] == list(DESCRIPTOR_TYPES)


def test_sizes_of_maps_agree() -> None:
    scratch = (OBJECT.parent / "scratch.h").read_text()  # type: ignore[attr-defined]
    paths = (OBJECT.parent / "paths.h").read_text()  # type: ignore[attr-defined]
    defined = dict(re.findall(r"^#define (\w+) (\w+)$", scratch + paths, re.M))
    assert int(defined["MAX_CPUS"]) == layout.MAX_CPUS
    assert int(defined["SLOTS"]) == layout.BUFFERS_PER_CPU
    assert int(defined["WATCHED"], 16) == layout.WATCHED
    assert int(defined["HAS_ANY"], 16) == layout.HAS_ANY


def test_every_program_is_in_the_object_and_in_the_table(btf: Btf) -> None:
    programs = {name for name, kind, _, _ in btf.types if kind == 12 and name.startswith("on_")}
    assert programs == {*probes.TRACE_PROGRAMS, *probes.SYSCALL_KINDS}
    assert {call.program for call in probes.SYSCALLS} == set(probes.SYSCALL_KINDS)
