"""Every real server can be talked to, killed, frozen and started again, and never outlives us."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tests.servers.talks import TALKS
from tools.generate_protos import ROOT
from tools.processes import await_condition
from tools.servers.network import wire_of
from tools.servers.server import Server, running
from tools.servers.table import KINDS

pytestmark = pytest.mark.servers

LIKE_KAFKA = {"kafka-secured", "kafka-wired"}
"""What is another one with certificates and passwords, or behind a wire."""
FORGETS = {"redis"}
"""What is a cache keeps nothing beyond its end."""


@pytest.fixture(params=TALKS)
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


def test_every_kind_of_server_is_talked_to() -> None:
    assert set(KINDS) - LIKE_KAFKA == set(TALKS)


@pytest.fixture
def word() -> str:
    return f"word-{uuid4().hex}"


async def test_a_server_keeps_what_it_is_told_when_it_is_killed(server: Server, word: str) -> None:
    talk = TALKS[server.name]
    await talk.tell(server, word)
    assert await talk.ask(server, word)
    server.kill()
    assert not server.serves
    server.start()
    assert await talk.ask(server, word) is (server.name not in FORGETS)
    await talk.tell(server, f"{word}-2")
    assert await talk.ask(server, f"{word}-2")


async def test_a_frozen_server_answers_nobody_until_it_is_thawed(server: Server, word: str) -> None:
    talk = TALKS[server.name]
    server.freeze()
    telling = asyncio.ensure_future(talk.tell(server, word))
    try:
        assert server.runs
        assert not await asyncio.to_thread(lambda: server.serves)  # telling goes on meanwhile
        assert not telling.done()
    finally:
        server.thaw()
    await telling
    assert await talk.ask(server, word)


def test_a_stopped_server_ends_in_order_and_starts_again(redis_server: Server) -> None:
    assert redis_server.stop() == 0
    assert not redis_server.runs
    redis_server.start()
    assert redis_server.serves


_RUNNER = """
import sys, threading
from pathlib import Path
from tools.servers.server import Server, running
servers = [Server(name, Path(sys.argv[1]) / name) for name in ("postgres", "weaviate")]
for server in servers:
    # By a thread that is over before the server is asked.
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
print(all(server.serves for server in servers), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["kafka", "postgres"])
def test_a_server_whose_preparation_was_killed_is_prepared_anew(
    servers_folder: Path, kind: str
) -> None:
    folder = servers_folder / f"half-{kind}"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "half").write_text("begun", encoding="utf-8")
    with running(kind, folder) as server:
        assert server.serves


def test_a_killed_runner_leaves_no_server_and_no_network_behind(servers_folder: Path) -> None:
    folder = servers_folder / "killed"
    wire = Path("/sys/class/net") / wire_of(folder / "weaviate")
    with subprocess.Popen(
        [sys.executable, "-c", _RUNNER, folder],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "True\n"
        assert _living_in(folder)
        assert wire.exists()
        runner.send_signal(signal.SIGKILL)
    assert await_condition(lambda: not _living_in(folder) and not wire.exists())


def _living_in(folder: Path) -> list[int]:
    """The processes that were started on a folder, by what they were told when they were."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _is_told(path, folder)]


def _is_told(process: Path, folder: Path) -> bool:
    try:
        return f"HOME={folder}".encode() in (process / "environ").read_bytes()
    except OSError:  # it has ended meanwhile
        return False
