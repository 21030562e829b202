"""What the walls let through, told by the filter itself and by the rights it asks for."""

from __future__ import annotations

import struct

import pytest

from ragmesh.indexing.parser.seal import seccomp
from ragmesh.indexing.parser.seal.landlock import rights

PID = 4_711
PROT_READ_WRITE, PROT_EXEC = 3, 4
RLIMIT_CPU, RLIMIT_AS = 0, 9

MACHINES = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])


def answer(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter answers to a call, worked out as the kernel does."""
    asked = struct.pack(
        "=iIQ6Q",
        number,
        architecture or seccomp.AUDIT_ARCHITECTURE[machine],
        0,
        *arguments,
        *[0] * (6 - len(arguments)),
    )
    steps = list(struct.iter_unpack("=HBBI", seccomp.filter_program(machine, seccomp.allowed(PID))))
    position, word = 0, 0
    while True:
        operation, if_true, if_false, value = steps[position]
        position += 1
        if operation == seccomp.RETURN:
            return int(value)
        if operation == seccomp.LOAD:
            (word,) = struct.unpack_from("=I", asked, value)
            continue
        holds = {
            seccomp.JUMP_EQUAL: word == value,
            seccomp.JUMP_GREATER_EQUAL: word >= value,
            seccomp.JUMP_SET: bool(word & value),
        }[operation]
        position += if_true if holds else if_false


def number(machine: str, name: str) -> int:
    """The number of an allowed call."""
    found = seccomp.allowed(PID)[name].number(machine)
    assert found is not None
    return found


@MACHINES
def test_a_process_may_use_its_pipes_and_its_clock(machine: str) -> None:
    for name in ("read", "write", "clock_gettime", "exit_group"):
        assert answer(machine, number(machine, name)) == seccomp.ALLOW


@pytest.mark.parametrize(
    ("machine", "calls"),
    [
        # open, socket, connect, clone, fork, execve, kill, ptrace, prctl, openat,
        # process_vm_writev, memfd_create, execveat, io_uring_setup, clone3, openat2, pidfd_getfd
        (
            "x86_64",
            (2, 41, 42, 56, 57, 59, 62, 101, 157, 257, 311, 319, 322, 425, 435, 437, 438),
        ),
        (
            "aarch64",
            (56, 198, 203, 220, 221, 129, 117, 167, 271, 279, 281, 425, 435, 437, 438),
        ),
    ],
)
def test_a_process_may_not_reach_files_sockets_or_others(
    machine: str, calls: tuple[int, ...]
) -> None:
    assert {answer(machine, call) for call in calls} == {seccomp.REFUSE}


@MACHINES
@pytest.mark.parametrize("name", ["mmap", "mprotect"])
def test_memory_is_never_made_executable(machine: str, name: str) -> None:
    call = number(machine, name)
    assert answer(machine, call, 0, 4_096, PROT_READ_WRITE) == seccomp.ALLOW
    assert answer(machine, call, 0, 4_096, PROT_READ_WRITE | PROT_EXEC) == seccomp.REFUSE


@MACHINES
def test_a_process_signals_itself_and_nobody_else(machine: str) -> None:
    call = number(machine, "tgkill")
    assert answer(machine, call, PID, PID, 6) == seccomp.ALLOW
    assert answer(machine, call, PID + 1, PID + 1, 6) == seccomp.REFUSE


@MACHINES
def test_a_process_sets_its_share_of_cpu_time_and_no_other_limit(machine: str) -> None:
    call = number(machine, "prlimit64")
    assert answer(machine, call, 0, RLIMIT_CPU) == seccomp.ALLOW
    assert answer(machine, call, 0, RLIMIT_AS) == seccomp.REFUSE
    assert answer(machine, call, PID, RLIMIT_CPU) == seccomp.REFUSE


def test_calls_by_the_numbers_of_another_architecture_end_the_process() -> None:
    i386 = 0x40000003
    assert answer("x86_64", 3, architecture=i386) == seccomp.KILL
    assert answer("x86_64", 0x40000000) == seccomp.KILL


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (1, [0x1FFF]),
        (2, [0x3FFF]),
        (3, [0x7FFF]),
        (4, [0x7FFF, 3]),
        (5, [0xFFFF, 3]),
        (6, [0xFFFF, 3, 3]),
        (7, [0xFFFF, 3, 3]),
    ],
)
def test_landlock_denies_all_that_its_version_knows(version: int, words: list[int]) -> None:
    assert list(struct.unpack(f"={len(words)}Q", rights(version))) == words
