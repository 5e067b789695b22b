from __future__ import annotations

from maxspan.schema import attack


def test_the_list_is_whole() -> None:
    entries = attack.entries()
    assert sum(id_.startswith("TA") for id_ in entries) == 15
    assert len(entries) == 850
    assert attack.name_of("T1059.004") == "Unix Shell"
    assert attack.name_of("T9999") == ""


def test_tactics_are_no_techniques() -> None:
    assert attack.is_tactic("TA0002")
    assert not attack.is_tactic("T1059")
    assert attack.is_technique("T1059")
    assert not attack.is_technique("TA0002")


def test_every_subtechnique_has_its_technique() -> None:
    entries = attack.entries()
    assert [id_ for id_ in entries if "." in id_ and id_.partition(".")[0] not in entries] == []


def test_nearest() -> None:
    assert attack.nearest("T10590", name="Unix Shell") == "T1059.004"
    assert attack.nearest("t1059") == "T1059"
    assert attack.nearest("TA01112", tactic=True) == "TA0112"
    assert attack.nearest("nonsense") == ""
