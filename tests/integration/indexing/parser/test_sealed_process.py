"""A parser that has fallen to its file reaches nothing, whoever runs the mesh (SEC-2)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ragmesh.indexing.parser.seal.privileges import NOBODY
from tests.integration.indexing.parser.identities import (
    BARE_ROOT,
    IDENTITIES,
    OWN,
    POD,
    POD_USER,
    command_as,
)
from tests.integration.indexing.parser.processes import is_alive, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can seal")

HOST = Path(__file__).with_name("hosting.py")

ATTACKS = {
    "open a file": "os.open('/etc/passwd', os.O_RDONLY)",
    "open a file by its folder": "os.open('passwd', os.O_RDONLY, dir_fd=0)",
    "make a file": "os.open('/tmp/attack', os.O_WRONLY | os.O_CREAT)",
    "remove a file": "os.unlink('/tmp/attack')",
    "look for a file": "os.stat('/etc/passwd')",
    "list a folder": "os.listdir('/')",
    "read the memory of the mesh": "open(f'/proc/{PARENT}/mem', 'rb')",
    "write the memory of the mesh": "call('process_vm_writev', PARENT, None, 0, None, 0, 0)",
    "take a pipe of the mesh": "call('syscall', 438, PARENT, 0, 0)",
    "open a socket": "socket.socket()",
    "open a local socket": "socket.socket(socket.AF_UNIX)",
    "open a netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "connect": "call('connect', 0, b'', 0)",
    "resolve a name": "call('socket', 2, 2, 0)",
    "fork": "os.fork()",
    "fork by number": "call('syscall', 435, None, 0)",
    "start a thread": "threading.Thread(target=int).start()",
    "run a program": "subprocess.run(['/bin/true'])",
    "spawn a program": "os.posix_spawn('/bin/true', ['true'], {})",
    "become a program": "os.execv('/bin/true', ['true'])",
    "become a program in memory": "call('execveat', 0, b'', None, None, 0x1000)",
    "trace the mesh": "call('ptrace', 16, PARENT, None, None)",
    "kill the mesh": "os.kill(PARENT, signal.SIGKILL)",
    "kill a thread of the mesh": "call('tgkill', PARENT, PARENT, signal.SIGKILL)",
    "kill by descriptor": "call('syscall', 434, PARENT, 0)",
    "keep a file in memory": "os.memfd_create('attack')",
    "run its own code": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "turn data into code": "call('mprotect', ctypes.c_void_p(id(0) & -4096), 4096, 5)",
    "take more memory": "call('prlimit', 0, resource.RLIMIT_AS, bytes(16), None)",
    "become root": "os.setuid(0)",
    "enter a namespace of its own": "call('unshare', 0x10000000)",
    "outlive the mesh": "call('prctl', 1, 0, 0, 0, 0)",
    "be looked into": "call('prctl', 4, 1, 0, 0, 0)",
    "mount a folder": "call('mount', b'none', b'/', b'tmpfs', 0, None)",
    "load a program into the kernel": "call('syscall', 321, 0, None, 0)",
    "queue calls to the kernel": "call('syscall', 425, 1, None)",
    "send a signal to itself": "signal.raise_signal(signal.SIGURG)",
}
HARMLESS = {"send a signal to itself"}
UID = {POD: POD_USER, BARE_ROOT: 0}


@dataclass(frozen=True, slots=True)
class Host:
    """A mesh's pool of fallen parsers, run as somebody, and what it tells."""

    identity: str
    process: subprocess.Popen[str]
    told: dict[str, Any]


@pytest.fixture(scope="module", params=IDENTITIES)
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """Every attack is made, then one parser is kept busy."""
    stage = tmp_path_factory.mktemp("stage")
    command = [*command_as(request.param, stage), sys.executable, str(HOST)]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(ATTACKS))
            process.stdin.close()
            yield Host(request.param, process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


def test_a_fallen_parser_reaches_no_file_no_socket_and_no_process(host: Host) -> None:
    assert host.told["missing"] == []
    assert host.told["outcomes"] == {
        name: "done" if name in HARMLESS else "stopped" for name in ATTACKS
    }
    assert host.process.poll() is None


def test_a_parser_of_root_is_nobody_and_any_other_is_the_meshs_user(host: Host) -> None:
    assert host.told["uid"] == UID.get(host.identity, os.getuid())
    nobody = host.identity == OWN and os.getuid() == 0 and can_be_nobody()
    assert host.told["user"] == ("nobody" if nobody else "the user of the mesh")


def can_be_nobody() -> bool:
    """Whether this user namespace knows nobody; that of a container without root may not."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    ranges = [map(int, line.split()) for line in lines]
    return any(first <= NOBODY < first + count for first, _, count in ranges)


def test_the_parsers_of_a_mesh_that_is_killed_die_with_it_in_the_middle_of_a_file(
    host: Host,
) -> None:
    pids = host.told["pids"]
    assert pids
    assert all(map(is_alive, pids))
    host.process.kill()
    host.process.wait()
    assert wait_until(lambda: not any(map(is_alive, pids))) < 1.0


def test_the_attacks_would_have_worked_without_walls() -> None:
    """Otherwise the walls would be praised for somebody else's refusal."""
    code = (
        "import json,sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import os, obedient\n"
        "from ragmesh.core.reading import SourceFile\n"
        "for name, attack in json.load(sys.stdin).items():\n"
        "    source = SourceFile(f'PARENT = {os.getpid()}\\n{attack}'.encode(), 'attack.txt')\n"
        "    print(name, obedient.extract_or_obey(source).text, sep=': ')\n"
    )
    names = (
        "open a file",
        "look for a file",
        "list a folder",
        "open a socket",
        "open a local socket",
        "start a thread",
        "run a program",
        "spawn a program",
        "keep a file in memory",
        "run its own code",
        "outlive the mesh",
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(HOST.parent)],
        input=json.dumps({name: ATTACKS[name] for name in names}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines() == [f"{name}: done" for name in names]
