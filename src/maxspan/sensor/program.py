"""What a process runs, as parts of JSON that are made once an exec and shared by all forks."""

from __future__ import annotations

from typing import Final

from msgspec.json import encode

#: Leaders carry the arguments up to this many bytes of JSON: they are repeated in every event of a session.
LEADER_ARGS_BYTES: Final = 1024
#: So many programs are remembered, those whose arguments have up to so many characters.
_REMEMBERED, _REMEMBERED_TEXT = 2048, 256


class Program:
    """Executable, arguments and working directory. `main` and `rest` are JSON members without braces.

    `main` holds executable, args and args_count, `rest` name, command_line and working_directory: `previous` of an exec
    event takes the first alone. `argc` counts the arguments that there were, also those that were cut off.
    """

    __slots__ = ("executable", "leader", "main", "name", "rest")

    def __init__(self, executable: str, name: str, args: list[str], argc: int, directory: str) -> None:
        self.name = name
        self.executable = executable
        values = encode(args)
        main = b'"args":%b,"args_count":%d' % (values, max(argc, len(args)))
        path = b'"executable":%b,' % encode(executable) if executable else b""
        self.main = path + main
        quoted = encode(name)
        rest = b'"name":%b,"command_line":%b' % (quoted, encode(" ".join(args)))
        self.rest = rest + b',"working_directory":%b' % encode(directory) if directory else rest
        self.leader = b'"name":%b,%b' % (quoted, self.main if len(values) <= LEADER_ARGS_BYTES else path[:-1])
        if self.leader.endswith(b","):
            self.leader = self.leader[:-1]


_remembered: Final[dict[tuple[str, str, str, int, int, str], Program]] = {}


def program_of(executable: str, comm: str, args: list[str], argc: int, directory: str) -> Program:
    """Make the program; its name is the base name of the executable, or else the name of the thread.

    What was executed before with the same short arguments is the same program: nobody changes one."""
    if not executable:
        return Program(executable, comm, args, argc, directory)
    text = "\0".join(args)  # no argument holds a NUL
    if len(text) > _REMEMBERED_TEXT:
        return Program(executable, executable.rpartition("/")[2] or comm, args, argc, directory)
    key = (executable, comm, text, len(args), argc, directory)
    program = _remembered.get(key)
    if program is None:
        if len(_remembered) >= _REMEMBERED:
            _remembered.clear()
        program = Program(executable, executable.rpartition("/")[2] or comm, args, argc, directory)
        _remembered[key] = program
    return program


def unknown_program(comm: str) -> Program:
    """Make the program of a process of which only the thread's name is known."""
    program = Program("", comm, [], 0, "")
    program.main = b'"args_count":0'
    program.rest = b'"name":%b' % encode(comm)
    program.leader = program.rest
    return program
