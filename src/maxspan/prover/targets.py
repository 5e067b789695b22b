"""Values that stand in a wanted relation to a constant: the plain arithmetic of working backwards."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from maxspan.languages import plan
from maxspan.languages.eql.values import parse_network


def filled(pattern: str, run: str, single: str) -> str:
    """Give a string that a wildcard pattern matches."""
    return pattern.replace("*", run).replace("?", single)


def addresses_in(block: str) -> Iterator[str]:
    """Give addresses of a block and just outside of it: some inside first, then its neighbours."""
    network = parse_network(block)
    if network is None:
        return
    first, last = int(network.network_address), int(network.broadcast_address)
    kind = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
    top = 2**32 if network.version == 4 else 2**128
    for number in dict.fromkeys((min(first + 10, last), first, last, (first + last) // 2, first - 1, last + 1)):
        if 0 <= number < top:
            yield str(kind(number))


def related(op: str, value: plan.Constant) -> Iterator[plan.Constant]:
    """Give values that stand in a relation to a constant."""
    if isinstance(value, bool):
        yield from ((value,) if op == "==" else (not value,))
    elif isinstance(value, str):
        if op in ("==", "<=", ">="):
            yield value
        if op != "==":
            yield from (value + "x", value[:-1], "", "~")
    elif value is not None:
        if op in ("==", "<=", ">="):
            yield value
        if op != "==":
            yield from (value + 1, value - 1, value + 0.5, value - 0.5, value * 2, 0)


def left_operands(op: str, value: int | float, right: int | float) -> Iterator[int | float]:
    """Give left sides `x` for which `x op right` is the value."""
    match op:
        case "+":
            yield value - right
        case "-":
            yield value + right
        case "*" if right != 0:
            quotient = value / right
            yield int(quotient) if quotient == int(quotient) else quotient
        case "/":
            yield value * right
        case _:
            yield value
            yield value + right


def right_operands(op: str, left: int | float, value: int | float) -> Iterator[int | float]:
    """Give right sides `x` for which `left op x` is the value."""
    match op:
        case "+":
            yield value - left
        case "-":
            yield left - value
        case "*" if left != 0:
            quotient = value / left
            yield int(quotient) if quotient == int(quotient) else quotient
        case "/" if value != 0:
            yield int(left / value)
        case "%":
            yield left - value
            yield left + 1
        case _:
            pass


def digits(value: int | float, base: plan.Constant) -> str:
    """Write a number so that `number(text, base)` reads it; null is base 10."""
    if base == 16 and isinstance(value, int):
        return f"{value:x}"
    if base == 8 and isinstance(value, int):
        return f"{value:o}"
    return f"{value:b}" if base == 2 and isinstance(value, int) else str(value)
