"""Addresses in blocks: what is read quickly is what the reference reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from maxspan.engine.kernel.text_tests import _address
from maxspan.languages.eql.values import parse_address

ODD = ["", "0", "00", "01", "001", "255", "256", "1e1", "-1", "+1", " 1", "1 ", "0x1", "1_0", "\u0663", "1\0", "9" * 12]
numbers = st.one_of(st.integers(0, 255).map(str), st.sampled_from(ODD))
addresses = st.tuples(
    st.sampled_from(["", "", "", "::ffff:", "::"]),
    st.lists(numbers, min_size=3, max_size=5).map(".".join),
    st.sampled_from(["", "", "", "/24", "%eth0", "\n", "\0", "."]),
).map("".join)


@given(st.one_of(addresses, st.ip_addresses().map(str), st.text(max_size=8)))
def test_addresses_are_read_as_the_reference_reads_them(text: str) -> None:
    address = parse_address(text)
    assert _address(text) == (None if address is None else (address.version, int(address)))
