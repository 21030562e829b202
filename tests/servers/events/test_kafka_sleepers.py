"""A member that sleeps is done without, and wakes up to nothing that it could spoil."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragmesh.testing.events import Inbox, consuming, happened
from tests.servers.events import sleeper
from tests.servers.events.places import Place, until
from tools.generate_protos import ROOT
from tools.servers.server import Server

pytestmark = pytest.mark.servers


@contextmanager
def sleeping_member(place: Place, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", sleeper.__name__, str(place.address), str(file)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_an_old_member_that_wakes_up_commits_nothing_of_what_was_taken_over(
    kafka_server: Server, tmp_path: Path
) -> None:
    place, file, inbox = await Place.make(kafka_server.url), tmp_path / "finished", Inbox()
    file.touch()

    async def committed(count: int) -> bool:
        return await place.committed() == count

    async with place.log() as log:
        with sleeping_member(place, file) as old:
            await log.append([happened(str(number)) for number in range(400)])
            await until(lambda: len(lines_of(file)) > 20)
            old.send_signal(signal.SIGSTOP)
            finished = lines_of(file)
            async with consuming(log, inbox, max_in_flight=8):
                await until(lambda: finished | set(inbox.keys) >= {str(n) for n in range(400)})
                await until(lambda: committed(400))
                old.send_signal(signal.SIGCONT)
                # It finds out, is taken in again, and has a partition of its own by and by.
                await until(lambda: place_is_shared(place))
                assert await committed(400)
                # Both go on with what comes.
                late = {f"late {number}" for number in range(20)}
                await log.append([happened(key) for key in late])
                await until(lambda: committed(420))
                assert late <= {*inbox.keys, *lines_of(file)}


def lines_of(file: Path) -> set[str]:
    return set(file.read_text().splitlines())


async def place_is_shared(place: Place) -> bool:
    return await place.members() == 2
