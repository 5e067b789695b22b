"""libbpf through ctypes: open an object, prepare its maps, load it, attach its programs.

Only what the sensor needs. Every failure is a SensorError that carries what libbpf and the kernel said.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Final

from maxspan.errors import SensorError

LIBRARY: Final = "libbpf.so.1"
MESSAGE_BYTES: Final = 1 << 20
# A verifier's log can have thousands of lines; its end says what was wrong.
KEPT_MESSAGES: Final = 20
RECURSION_MISSES: Final = 208
PROGRAM_INFO_BYTES: Final = 224

PRINTER = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)


class OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts, its beginning"""

    _fields_ = (("sz", c_size_t), ("object_name", c_char_p))


class AttachOptions(ctypes.Structure):
    """struct bpf_perf_event_opts"""

    _fields_ = (("sz", c_size_t), ("bpf_cookie", c_uint64))


def _signatures(library: ctypes.CDLL) -> None:
    """Tell ctypes the types of the functions in use. Raises AttributeError when the library lacks one."""
    table: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "libbpf_set_print": (c_void_p, (c_void_p,)),
        "bpf_object__open_mem": (c_void_p, (c_char_p, c_size_t, POINTER(OpenOptions))),
        "bpf_object__load": (c_int, (c_void_p,)),
        "bpf_object__close": (None, (c_void_p,)),
        "bpf_object__find_map_by_name": (c_void_p, (c_void_p, c_char_p)),
        "bpf_object__find_program_by_name": (c_void_p, (c_void_p, c_char_p)),
        "bpf_map__fd": (c_int, (c_void_p,)),
        "bpf_map__set_max_entries": (c_int, (c_void_p, c_uint32)),
        "bpf_map__set_initial_value": (c_int, (c_void_p, c_char_p, c_size_t)),
        "bpf_map_update_elem": (c_int, (c_int, c_char_p, c_char_p, c_uint64)),
        "bpf_program__set_autoload": (c_int, (c_void_p, c_bool)),
        "bpf_program__fd": (c_int, (c_void_p,)),
        "bpf_program__attach_trace": (c_void_p, (c_void_p,)),
        "bpf_program__attach_perf_event_opts": (c_void_p, (c_void_p, c_int, POINTER(AttachOptions))),
        "bpf_link__destroy": (c_int, (c_void_p,)),
        "bpf_obj_get_info_by_fd": (c_int, (c_int, c_char_p, POINTER(c_uint32))),
        "libbpf_num_possible_cpus": (c_int, ()),
    }
    for name, (result, arguments) in table.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments


def load_library() -> ctypes.CDLL:
    """Load libbpf. Raises SensorError with a remedy when it is missing or too old."""
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
        _signatures(library)
    except OSError as error:
        raise SensorError(
            f"{LIBRARY} cannot be loaded ({error}); install it (Debian, Ubuntu: apt install libbpf1; Fedora, Arch: "
            "libbpf) or watch through the audit system with --backend audit"
        ) from error
    except AttributeError as error:
        raise SensorError(f"{LIBRARY} is too old ({error}); version 1.0 or newer is needed") from error
    return library


class BpfObject:
    """One BPF object file: from `__init__` (opened) through `load` to `close`. Maps and programs are called by name."""

    def __init__(self, library: ctypes.CDLL, data: bytes) -> None:
        self._library = library
        self._messages: list[str] = []
        self._links: list[int] = []
        self._libc = ctypes.CDLL(None)
        self._printer = PRINTER(self._note)
        library.libbpf_set_print(ctypes.cast(self._printer, c_void_p))
        self._data = data
        # Maps are listed under this name by bpftool.
        options = OpenOptions(ctypes.sizeof(OpenOptions), b"maxspan")
        self._object: int | None = library.bpf_object__open_mem(data, len(data), options)
        if not self._object:
            raise self._failure("the BPF object cannot be opened", ctypes.get_errno())

    def _note(self, level: int, form: bytes, arguments: int) -> int:
        """Keep a message of libbpf (level 2 is for debugging); `arguments` is a va_list."""
        if level < 2:
            buffer = ctypes.create_string_buffer(MESSAGE_BYTES)
            self._libc.vsnprintf(buffer, c_size_t(MESSAGE_BYTES), c_char_p(form), c_void_p(arguments))
            self._messages.append(buffer.value.decode("utf-8", "replace").rstrip())
            del self._messages[:-KEPT_MESSAGES]
        return 0

    def _failure(self, what: str, number: int) -> SensorError:
        number = abs(number)
        reason = f"{os.strerror(number)}" if number else "no reason given"
        said = "\n  ".join(line for message in self._messages for line in message.splitlines()[-8:])
        hint = ""
        if number in (errno.EPERM, errno.EACCES):
            hint = " (root, or CAP_BPF, CAP_PERFMON and CAP_DAC_READ_SEARCH are needed)"
        return SensorError(f"{what}: {reason}{hint}" + (f"\n  {said}" if said else ""))

    def _map(self, name: str) -> int:
        found: int | None = self._library.bpf_object__find_map_by_name(self._object, name.encode())
        if not found:
            raise SensorError(f"the BPF object has no map {name!r}: object and package do not match")
        return found

    def _program(self, name: str) -> int:
        found: int | None = self._library.bpf_object__find_program_by_name(self._object, name.encode())
        if not found:
            raise SensorError(f"the BPF object has no program {name!r}: object and package do not match")
        return found

    def set_max_entries(self, name: str, entries: int) -> None:
        """Size a map (for a ring buffer: in bytes) before the object is loaded."""
        result = self._library.bpf_map__set_max_entries(self._map(name), entries)
        if result:
            raise self._failure(f"the BPF map {name} cannot be sized to {entries}", result)

    def set_initial_value(self, name: str, value: bytes) -> None:
        """Set the variables of a section before the object is loaded."""
        result = self._library.bpf_map__set_initial_value(self._map(name), value, len(value))
        if result:
            raise self._failure(f"the settings {name} cannot be set", result)

    def leave_out(self, program: str) -> None:
        """Do not load a program (its hook is not there)."""
        self._library.bpf_program__set_autoload(self._program(program), False)

    def load(self) -> None:
        """Load maps and programs into the kernel, which verifies them."""
        result = self._library.bpf_object__load(self._object)
        if result:
            raise self._failure("the kernel does not take the BPF programs", result)

    def map_fd(self, name: str) -> int:
        return int(self._library.bpf_map__fd(self._map(name)))

    def update(self, name: str, entries: Mapping[bytes, bytes]) -> None:
        """Put entries into a loaded map."""
        fd = self.map_fd(name)
        for key, value in entries.items():
            result = self._library.bpf_map_update_elem(fd, key, value, 0)
            if result:
                raise self._failure(f"the BPF map {name} cannot be filled", result)

    def attach_trace(self, program: str) -> None:
        """Attach a program to the hook that its section names."""
        link = self._library.bpf_program__attach_trace(self._program(program))
        if not link:
            raise self._failure(f"the BPF program {program} cannot be attached", ctypes.get_errno())
        self._links.append(link)

    def attach_perf_event(self, program: str, event_fd: int, cookie: int) -> None:
        """Attach a program to an open perf event; the descriptor belongs to the object from here on."""
        options = AttachOptions(ctypes.sizeof(AttachOptions), cookie)
        link = self._library.bpf_program__attach_perf_event_opts(self._program(program), event_fd, options)
        if not link:
            number = ctypes.get_errno()
            os.close(event_fd)
            raise self._failure(f"the BPF program {program} cannot be attached to a tracepoint", number)
        self._links.append(link)

    def skipped_runs(self, program: str) -> int:
        """How often the kernel did not run a program, because one ran on that CPU already; 0 for one left out."""
        fd = self._library.bpf_program__fd(self._program(program))
        if fd < 0:
            return 0
        info = ctypes.create_string_buffer(PROGRAM_INFO_BYTES)
        size = c_uint32(PROGRAM_INFO_BYTES)
        if self._library.bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)):
            return 0
        return int.from_bytes(info.raw[RECURSION_MISSES : RECURSION_MISSES + 8], "little")

    def close(self) -> None:
        """Detach and unload everything. Safe to call twice."""
        if self._links:
            # The kernel waits some 60 ms for each tracepoint; waiting at the same time halves that.
            with ThreadPoolExecutor(len(self._links)) as threads:
                list(threads.map(self._library.bpf_link__destroy, self._links))
            self._links.clear()
        if self._object:
            self._library.bpf_object__close(self._object)
            self._object = None
        self._library.libbpf_set_print(None)
