"""What the host must allow, and what the error says when it does not."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from maxspan.errors import SensorError
from maxspan.sensor import capabilities, clock, libbpf, probes, tracepoints
from maxspan.sensor.bpf_backend import BpfBackend
from maxspan.sensor.capabilities import BPF, DAC_OVERRIDE, DAC_READ_SEARCH, PERFMON, SYS_ADMIN


def mask(*bits: int) -> int:
    return sum(1 << bit for bit in bits)


def test_three_capabilities_are_enough_and_each_is_needed() -> None:
    assert capabilities.missing_capabilities(mask(BPF, PERFMON, DAC_READ_SEARCH)) == []
    assert capabilities.missing_capabilities(mask(SYS_ADMIN, DAC_OVERRIDE)) == []
    assert capabilities.missing_capabilities(mask(PERFMON, DAC_READ_SEARCH)) == ["CAP_BPF"]
    assert capabilities.missing_capabilities(mask(BPF, DAC_READ_SEARCH)) == ["CAP_PERFMON"]
    assert capabilities.missing_capabilities(mask(BPF, PERFMON)) == ["CAP_DAC_READ_SEARCH"]


def test_without_capabilities_the_error_names_them_and_the_remedy() -> None:
    with pytest.raises(SensorError, match=r"CAP_BPF, CAP_PERFMON, CAP_DAC_READ_SEARCH: run as root"):
        capabilities.require_host(mask=0)


def test_without_btf_the_error_names_the_fallback(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match=r"CONFIG_DEBUG_INFO_BTF.*--backend audit"):
        capabilities.require_host(mask=-1, btf=tmp_path / "vmlinux")


def test_effective_capabilities_are_read(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapPrm:\tff\nCapEff:\t000000c000000004\n")
    assert capabilities.effective_capabilities(status) == mask(BPF, PERFMON, DAC_READ_SEARCH)


def test_without_the_library_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf, "LIBRARY", "libbpf-that-is-not-there.so.1")
    with pytest.raises(SensorError, match=r"apt install libbpf1.*--backend audit"):
        libbpf.load_library()


def test_a_library_without_the_functions_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf, "LIBRARY", None)  # the C library
    with pytest.raises(SensorError, match="too old"):
        libbpf.load_library()


def test_a_broken_object_is_said() -> None:
    try:
        library = libbpf.load_library()
    except SensorError as error:
        pytest.skip(str(error))
    with pytest.raises(SensorError, match="cannot be opened"):
        libbpf.BpfObject(library, b"\x7fELF no object")


def test_without_tracefs_the_error_says_how_to_mount_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tracepoints, "MOUNTS", (tmp_path / "tracing",))

    def refuse(*_: object) -> int:
        ctypes.set_errno(1)
        return -1

    class Refusing:
        syscall = staticmethod(refuse)

    monkeypatch.setattr(tracepoints.ctypes, "CDLL", lambda *_, **__: Refusing())
    with pytest.raises(SensorError, match=r"Operation not permitted.*mount -t tracefs.*--backend audit"):
        tracepoints.Tracepoints()


def test_a_machine_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracepoints.platform, "machine", lambda: "s390x")
    with pytest.raises(SensorError, match="s390x"):
        tracepoints.Tracepoints()


@pytest.mark.parametrize("size", [0, 4095, 5000, 12288])
def test_a_ring_of_a_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(SensorError, match="power of two"):
        BpfBackend(ring_bytes=size)


def test_polling_before_the_start_is_an_error() -> None:
    backend = BpfBackend()
    with pytest.raises(SensorError, match="not started"):
        backend.poll(0)
    assert backend.counters() == {}
    backend.close()
    backend.close()


def test_the_clock_moves_only_when_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    boot = clock.BootClock()
    before = boot.offset_ns
    monkeypatch.setattr(clock, "measure_offset_ns", lambda: before + 1_000_000)
    assert not boot.renew() and boot.offset_ns == before
    monkeypatch.setattr(clock, "measure_offset_ns", lambda: before - 3_600_000_000_000)
    assert boot.renew() and boot.offset_ns == before - 3_600_000_000_000


def test_gaps_depend_on_the_host(tmp_path: Path) -> None:
    there, disabled = tmp_path / "vsyscall32", tmp_path / "io_uring_disabled"
    assert {key for key in probes.gaps(there, disabled) if "32-bit" in key} == set()
    assert "accept:io_uring" in probes.gaps(there, disabled)
    there.touch()
    disabled.write_text("2\n")
    assert "accept:32-bit" in probes.gaps(there, disabled)
    assert not any("io_uring" in key for key in probes.gaps(there, disabled))
