"""Messages of audit: fields, arguments, addresses, events. The recorded ones are those of a kernel (6.18)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.sensor.audit import rules
from maxspan.sensor.audit.assemble import PATIENCE, Assembler, AuditEvent, in_time
from maxspan.sensor.audit.message import EOE, EXECVE, SYSCALL, Message, number, parse, raw_of, text_of
from maxspan.sensor.audit.translate import address, arguments, terminal

RECORDED = Path(__file__).with_name("audit_recorded.txt")


def recorded() -> list[Message]:
    out = []
    for line in RECORDED.read_bytes().splitlines():
        kind, _, text = line.partition(b" ")
        message = parse(int(kind), text)
        assert message is not None
        out.append(message)
    return out


def kernel_writes(data: bytes) -> bytes:
    """What audit_log_untrustedstring makes of a string."""
    if any(byte == 0x22 or byte < 0x21 or byte > 0x7E for byte in data):
        return data.hex().upper().encode()
    return b'"' + data + b'"'


@given(st.binary(max_size=200))
def test_untrusted_values_come_back_as_they_were(data: bytes) -> None:
    text = b"audit(1700000000.123:7): first=" + kernel_writes(data) + b" last=1\n"
    message = parse(SYSCALL, text)
    assert message is not None
    assert raw_of(message.fields["first"]) == data
    assert message.fields["last"] == b"1"


@given(st.binary(max_size=300))
def test_no_message_stops_the_reader(data: bytes) -> None:
    parse(SYSCALL, data)
    message = parse(EXECVE, b"audit(1.001:1): " + data)
    assert message is not None
    arguments([message.fields])


def test_time_and_serial() -> None:
    message = parse(EOE, b"audit(1700000000.007:4294967296): ")
    assert message == Message(EOE, 1_700_000_000_007_000_000, 4294967296, {})
    assert parse(SYSCALL, b"no audit here") is None


def test_bytes_that_are_no_text_show() -> None:
    assert text_of(b"FFFE41") == "\\xff\\xfeA"
    assert text_of(b"(null)") == ""
    assert number(b"rubbish") == 0
    assert number(None) == 0


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8), st.integers(1, 7))
def test_arguments_in_pieces_and_messages_are_put_together(args: list[bytes], size: int) -> None:
    parts: list[dict[str, bytes]] = [{"argc": str(len(args)).encode()}]
    for position, data in enumerate(args):
        written = kernel_writes(data)
        if written[:1] == b'"' or len(data) <= size:
            parts.append({f"a{position}": written})
            continue
        parts.append({f"a{position}_len": str(2 * len(data)).encode()})
        for piece in range(0, len(data), size):
            parts.append({f"a{position}[{piece // size}]": kernel_hex(data[piece : piece + size])})
    out, argc, whole = arguments(parts)
    assert whole
    assert argc == len(args)
    assert out == [data.decode("utf-8", "backslashreplace") for data in args]


def kernel_hex(data: bytes) -> bytes:
    return data.hex().upper().encode()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([{"argc": b"3", "a0": b'"sh"', "a2": b'"x"'}], (["sh"], 3, False)),
        ([{"argc": b"2", "a0": b'"sh"', "a1_len": b"100", "a1[0]": b"7878"}], (["sh", "xx"], 2, False)),
        ([], ([], 0, False)),
    ],
)
def test_missing_arguments_are_said(parts: list[dict[str, bytes]], expected: tuple[list[str], int, bool]) -> None:
    assert arguments(parts) == expected


def test_recorded_arguments() -> None:
    assembler = Assembler()
    events = [event for message in recorded() for event in assembler.add(message)]
    seen = [arguments(event.arguments) for event in events if event.arguments]
    assert (["/bin/echo", "two words", "line\nbreak", "\\xff\\xfe", "", '"quoted"', "plain"], 7, True) in seen
    assert (["/bin/true", "x" * 9000], 2, True) in seen
    assert all(whole for _, _, whole in seen)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("020000017F0000010000000000000000", (2, "127.0.0.1", 1)),
        ("0A0000010000000000000000000000000000FFFF7F00000100000000", (10, "::ffff:127.0.0.1", 1)),
        ("01002F746D702F78", None),
        ("0200", None),
        ("", None),
    ],
)
def test_addresses(data: str, expected: tuple[int, str, int] | None) -> None:
    assert address(bytes.fromhex(data)) == expected


@pytest.mark.parametrize(
    ("name", "device"),
    [("pts0", 136 << 20), ("pts257", 137 << 20 | 1), ("tty1", 4 << 20 | 1), ("ttyS0", 4 << 20 | 64), ("(none)", 0)],
)
def test_terminals(name: str, device: int) -> None:
    assert terminal(name) == device


def _message(kind: int, serial: int) -> Message:
    return Message(kind, serial * 1_000_000, serial, {"syscall": b"59"} if kind == SYSCALL else {})


def test_events_interleave_and_lost_ends_are_told() -> None:
    assembler = Assembler()
    assert assembler.add(_message(SYSCALL, 1)) == []
    assert assembler.add(_message(SYSCALL, 2)) == []
    assert [event.serial for event in assembler.add(_message(EOE, 2))] == [2]
    assembler.add(_message(SYSCALL, 2 + PATIENCE))
    late = assembler.add(_message(EOE, 2 + PATIENCE))
    assert [(event.serial, event.complete) for event in late] == [(1, False), (2 + PATIENCE, True)]
    assert assembler.incomplete == 1
    assert assembler.add(_message(EXECVE, 9000)) == []
    assert assembler.flush() == []
    assert assembler.unusable == 1


def test_a_call_that_was_lost_is_told_by_what_is_left_of_it() -> None:
    assembler = Assembler()
    assembler.add(_message(EOE, 1))
    assert assembler.incomplete == 0  # it began before we listened
    assembler.add(_message(SYSCALL, 2))
    assembler.add(_message(EOE, 2))
    assembler.add(_message(EOE, 3))
    assert assembler.incomplete == 1
    assembler.add(_message(EXECVE, 4))
    assert assembler.add(_message(EOE, 4)) == []
    assert (assembler.incomplete, assembler.unusable) == (2, 1)


def test_an_accept_has_the_time_of_its_return() -> None:
    def event(time_ns: int, syscall: bytes) -> AuditEvent:
        return AuditEvent(time_ns, 0, {"arch": b"c000003e", "syscall": syscall})

    batch = [event(500, b"59"), event(100, b"288"), event(700, b"59"), event(50, b"43")]
    assert [item.time_ns for item in in_time(batch, 900)] == [500, 700, 700, 900]


def test_rules_carry_the_key_of_their_process() -> None:
    for rule in [*rules.watch_rules([rules.ARCH_X86_64, rules.ARCH_I386]), *rules.file_rules(["/etc", "/etc/passwd"])]:
        packed = rule.pack(4321)
        assert rules.key_of(packed) == b"maxspan:4321"
        assert rules.owner_of(packed) == 4321
    assert rules.file_rules(["/nonexistent/folder/file"]) == []
    assert rules.key_of(b"short") == b""
    foreign = rules.Rule((59,), ((rules.FIELD_ARCH, 1),)).pack(1).replace(b"maxspan:1", b"another:1")
    assert rules.owner_of(foreign) == 0
