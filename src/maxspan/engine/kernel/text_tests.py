"""Quick tests of one text for leaves that are neither words nor patterns: addresses in blocks, lengths, order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import lru_cache
from socket import AF_INET, inet_pton

from maxspan.languages import plan
from maxspan.languages.casefold import fold
from maxspan.languages.eql.values import Network, call, compare, parse_address, parse_network

TextTest = Callable[[str], bool]


def text_test(leaf: plan.Leaf) -> TextTest | None:
    """Give what the reference finds for a leaf over one field without a type that holds this text; None if unknown."""
    match leaf:
        case plan.Call(function="cidrMatch", args=(plan.Field(), *blocks)) if all(map(_is_text, blocks)):
            return _in_blocks(block.value for block in blocks if isinstance(block, plan.Literal))
        case plan.Comparison(
            op=op, left=plan.Call(function="length", args=(plan.Field(),)), right=plan.Literal(value=value)
        ) if value is not None:
            return lambda text: compare(op, call("length", (text,)), value) is True
        case plan.Comparison(op="==", left=plan.Field(), right=plan.Literal(value=value)) if not isinstance(value, str):
            return lambda text: compare("==", text, value) is True
        case plan.Comparison(op="<" | "<=" | ">" | ">=" as op, left=plan.Field(), right=plan.Literal(value=value)):
            return lambda text: compare(op, text, value) is True
        case plan.Call(
            function="startsWith" | "endsWith" | "stringContains" as function,
            args=(plan.Field(), plan.Literal(value=str() as part)),
            insensitive=insensitive,
        ) if part:
            return _holds_part(function, fold(part) if insensitive else part, insensitive)
        case _:
            return None


def _holds_part(function: str, part: str, insensitive: bool) -> TextTest:
    tests: dict[str, TextTest] = {
        "startsWith": lambda text: text.startswith(part),
        "endsWith": lambda text: text.endswith(part),
        "stringContains": lambda text: part in text,
    }
    test = tests[function]
    return (lambda text: test(fold(text))) if insensitive else test


def _is_text(node: plan.Node) -> bool:
    return isinstance(node, plan.Literal) and isinstance(node.value, str)


@lru_cache(maxsize=256)
def _address(text: str) -> tuple[int, int] | None:
    """Give the version and the number of an address; it is looked for in the blocks of several conditions."""
    if text.isascii() and text.count(".") == 3 and ":" not in text and "\0" not in text:
        try:
            return 4, int.from_bytes(inet_pton(AF_INET, text))  # four numbers without zeros before them, as `ipaddress`
        except OSError:
            return None
    address = parse_address(text)
    return None if address is None else (address.version, int(address))


def _in_blocks(blocks: Iterable[plan.Constant]) -> TextTest:
    networks = [network for block in blocks if (network := parse_network(str(block))) is not None]
    ranges = {version: _merged(network for network in networks if network.version == version) for version in (4, 6)}

    def test(text: str) -> bool:
        address = _address(text)
        if address is None:
            return False
        version, number = address
        first, last = ranges[version]
        place = bisect_right(first, number) - 1
        return place >= 0 and number <= last[place]

    return test


def _merged(networks: Iterable[Network]) -> tuple[list[int], list[int]]:
    """Give the first and the last addresses of networks, in order; those that lie in another one are left out."""
    first: list[int] = []
    last: list[int] = []
    for low, high in sorted((int(one.network_address), int(one.broadcast_address)) for one in networks):
        if last and low <= last[-1]:
            last[-1] = max(last[-1], high)
        else:
            first.append(low)
            last.append(high)
    return first, last
