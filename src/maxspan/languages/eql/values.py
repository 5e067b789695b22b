"""What the functions and operators of EQL compute on plain values.

Values are `str`, `int`, `float`, `bool` or `None`; null in any argument gives null unless a function says otherwise,
and an argument of the wrong type gives null too. Source: sections 9.5 and 9.6 of the semantics document.

Positions and lengths count UTF-16 units, as Java's strings do: a character outside of the basic plane counts two.
"""

from __future__ import annotations

import functools
import ipaddress
import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from maxspan.languages.casefold import fold
from maxspan.languages.plan import Constant

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1


def is_number(value: object) -> bool:
    """Whether a value is a number; `True` and `False` are none."""
    return type(value) is int or type(value) is float


# --- numbers ---------------------------------------------------------------------------------------------------------


def arithmetic(op: str, left: Constant, right: Constant) -> Constant:
    """Compute `left op right` as Java does; null for null, for what is no number, on overflow and for division by 0.

    Two whole numbers give a whole number: division truncates towards zero, the remainder has the dividend's sign.
    """
    if type(left) is int and type(right) is int:
        return _whole(op, left, right)
    first, second = _double(left), _double(right)
    return None if first is None or second is None else _real(op, first, second)


def _double(value: Constant) -> float | None:
    """Give a number as a double; null for what is no number, and for a whole one beyond all doubles."""
    if type(value) is float:
        return value
    if type(value) is not int:
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _whole(op: str, left: int, right: int) -> int | None:
    match op:
        case "+":
            result = left + right
        case "-":
            result = left - right
        case "*":
            result = left * right
        case _ if right == 0:
            return None
        case "/":
            result = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        case _:
            result = abs(left) % abs(right) * (-1 if left < 0 else 1)
    return result if _LONG_MIN <= result <= _LONG_MAX else None


def _real(op: str, left: float, right: float) -> float | None:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _ if right == 0:
            return None
        case "/":
            return left / right
        case _:
            return math.fmod(left, right) if math.isfinite(left) else math.nan


def negate(value: Constant) -> Constant:
    """Compute `-value`; null for null and for what is no number."""
    return -value if is_number(value) else None  # type: ignore[operator]


def compare(op: str, left: Constant, right: Constant) -> bool | None:
    """Compare two values; null when one is null. Values of different types are never equal and have no order.

    Strings compare by code point, `false` is less than `true`.
    """
    if left is None or right is None:
        return None
    comparable = (is_number(left) and is_number(right)) or type(left) is type(right)
    match op:
        case "==":
            return comparable and left == right
        case "!=":
            return not (comparable and left == right)
        case _ if not comparable:
            return None
        case "<":
            return left < right  # type: ignore[operator]
        case "<=":
            return left <= right  # type: ignore[operator]
        case ">":
            return left > right  # type: ignore[operator]
        case _:
            return left >= right  # type: ignore[operator]


# --- strings ---------------------------------------------------------------------------------------------------------


def to_string(value: Constant) -> str | None:
    """Write a value as Java does: `true`, `1`, `2.5`, `1.0E10`."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -(2**64) < value < 2**64:
        return str(value)
    double = _double(value)
    return None if double is None else _java_double(double)


def _java_double(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = f"{value:.{20}f}" if "e" in repr(value) else repr(value)
        return text.rstrip("0") + "0" if text.rstrip("0").endswith(".") else text.rstrip("0")
    digits, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        digits, _, exponent = _scientific(value)
    if "." not in digits:
        digits += ".0"
    return f"{digits}E{int(exponent)}"


def _scientific(value: float) -> tuple[str, str, str]:
    significant = len(repr(abs(value)).replace(".", "").strip("0")) or 1
    mantissa, separator, exponent = f"{value:.{significant - 1}e}".partition("e")
    return mantissa, separator, exponent


def _units(text: str) -> str:
    """Spell characters outside of the basic plane as two surrogates, so that positions count UTF-16 units."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    encoded = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(encoded[i] | encoded[i + 1] << 8) for i in range(0, len(encoded), 2))


def _text(units: str) -> str:
    if units.isascii() or not any("\ud800" <= c <= "\udfff" for c in units):
        return units
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _length(text: Constant) -> Constant:
    return len(_units(text)) if isinstance(text, str) else None


def _concat(*values: Constant) -> Constant:
    texts = [to_string(value) for value in values]
    return None if None in texts else "".join(text for text in texts if text is not None)


def _substring(text: Constant, begin: Constant, end: Constant = None) -> Constant:
    if not isinstance(text, str) or not _whole_or_null(begin) or not _whole_or_null(end):
        return None
    units = _units(text)
    size = len(units)
    first = 0 if begin is None else int(begin)
    last = size if end is None else int(end)
    first = max(0, first + size) if first < 0 else first
    last = max(0, last + size) if last < 0 else min(last, size)
    return _text(units[first:last]) if first < last else ""


def _whole_or_null(value: Constant) -> bool:
    return value is None or type(value) is int


def _index_of(text: Constant, needle: Constant, start: Constant = None, *, insensitive: bool = False) -> Constant:
    if not isinstance(text, str) or not isinstance(needle, str) or not _whole_or_null(start):
        return None
    if insensitive:
        text, needle = fold(text), fold(needle)
    units = _units(text)
    first = min(max(0 if start is None else int(start), 0), len(units))
    found = units.find(_units(needle), first)
    return None if found < 0 else found


def _between(
    text: Constant, left: Constant, right: Constant, greedy: Constant = False, *, insensitive: bool = False
) -> Constant:
    if not isinstance(text, str) or not isinstance(left, str) or not isinstance(right, str) or greedy is None:
        return None
    searched = fold(text) if insensitive else text
    if insensitive:
        left, right = fold(left), fold(right)
    found = searched.find(left)
    if found < 0:
        return None
    start = found + len(left)
    end = searched.rfind(right, start) if greedy is True else searched.find(right, start)
    return None if end < 0 else text[start:end]


def _starts_with(text: Constant, prefix: Constant, *, insensitive: bool = False) -> Constant:
    return _string_test(str.startswith, text, prefix, insensitive)


def _ends_with(text: Constant, suffix: Constant, *, insensitive: bool = False) -> Constant:
    return _string_test(str.endswith, text, suffix, insensitive)


def _string_contains(text: Constant, needle: Constant, *, insensitive: bool = False) -> Constant:
    return _string_test(lambda whole, part: part != "" and part in whole, text, needle, insensitive)


def _string_test(test: Callable[[str, str], bool], text: Constant, part: Constant, insensitive: bool) -> Constant:
    if not isinstance(text, str) or not isinstance(part, str):
        return None
    return test(fold(text), fold(part)) if insensitive else test(text, part)


def parse_number(text: Constant, base: Constant = None) -> Constant:
    """Read the number that a string holds, null when it holds none; `0x` means hexadecimal unless a base is given."""
    if not isinstance(text, str) or not _whole_or_null(base):
        return None
    hexadecimal = text.startswith("0x")
    radix = int(base) if base is not None else 16 if hexadecimal else 10
    digits = text[2:] if hexadecimal and radix == 16 else text
    if not 2 <= radix <= 36 or "_" in digits or len(digits) > 400 or not digits.isascii():
        return None
    try:
        whole = int(digits, radix)
    except ValueError:
        return _parse_real(digits) if base is None and radix == 10 else None
    if _LONG_MIN <= whole <= _LONG_MAX and digits == digits.strip():
        return whole
    return _double(whole) if base is None and radix == 10 else None


def _parse_real(digits: str) -> Constant:
    try:
        value = float(digits)
    except ValueError:
        return None
    return value if any(c.isdigit() for c in digits) else None


# --- addresses -------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=65536)
def parse_address(text: str) -> Address | None:
    """Read an IP address; IPv4 written as IPv6 (`::ffff:10.0.0.1`) becomes IPv4. Anything else is None."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@functools.lru_cache(maxsize=4096)
def parse_network(text: str) -> Network | None:
    """Read an address block; host bits may be set, and without a length it is one address. Anything else is None."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((int(mapped), network.prefixlen - 96))
    return network


def _cidr_match(address: Constant, *blocks: Constant) -> Constant:
    if not isinstance(address, str) or any(block is None for block in blocks):
        return None
    parsed = parse_address(address)
    if parsed is None:
        return False
    networks = (parse_network(block) for block in blocks if isinstance(block, str))
    return any(network is not None and parsed in network for network in networks)


# --- the table -------------------------------------------------------------------------------------------------------

_PLAIN: Final[dict[str, Callable[..., Constant]]] = {
    "add": functools.partial(arithmetic, "+"),
    "between": _between,
    "cidrMatch": _cidr_match,
    "concat": _concat,
    "divide": functools.partial(arithmetic, "/"),
    "endsWith": _ends_with,
    "indexOf": _index_of,
    "length": _length,
    "modulo": functools.partial(arithmetic, "%"),
    "multiply": functools.partial(arithmetic, "*"),
    "number": parse_number,
    "startsWith": _starts_with,
    "string": to_string,
    "stringContains": _string_contains,
    "substring": _substring,
    "subtract": functools.partial(arithmetic, "-"),
}
_INSENSITIVE: Final = frozenset({"between", "endsWith", "indexOf", "startsWith", "stringContains"})


def call(function: str, args: Sequence[Constant], *, insensitive: bool = False) -> Constant:
    """Compute a function by its canonical name; the number of arguments has been checked before."""
    if function in _INSENSITIVE:
        return _PLAIN[function](*args, insensitive=insensitive)
    return _PLAIN[function](*args)
