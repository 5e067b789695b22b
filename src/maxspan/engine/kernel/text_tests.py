"""Quick tests of one text for leaves that are neither words nor patterns: addresses in blocks, lengths, order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from maxspan.languages import plan
from maxspan.languages.casefold import fold
from maxspan.languages.eql.values import call, compare, parse_address, parse_network

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


#: one address is looked for in the blocks of several conditions
_address = lru_cache(maxsize=256)(parse_address)


def _in_blocks(blocks: Iterable[plan.Constant]) -> TextTest:
    ranges: list[tuple[int, int, int]] = []
    for block in blocks:
        network = parse_network(str(block))
        if network is not None:
            ranges.append((network.version, int(network.network_address), int(network.broadcast_address)))

    def test(text: str) -> bool:
        address = _address(text)
        if address is None:
            return False
        number, version = int(address), address.version
        return any(low <= number <= high for kind, low, high in ranges if kind == version)

    return test
