"""`make split-up`: six processes that start and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.meshes import ROOT, STOP_SECONDS, environment
from tools.split import TARGETS


@pytest.mark.timeout(180)
def test_the_end_of_one_target_ends_all_and_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tools.split", "--free-ports", "--data-dir"]
    with (
        log.open("w") as err,
        subprocess.Popen(
            [*command, tmp_path / "data"],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        ) as program,
    ):
        assert program.stdout is not None
        line = program.stdout.readline()
        assert line.startswith("The mesh is ready, 6 processes: "), log.read_text()
        http = line.split("its page ")[1].split("/docs")[0]
        assert httpx.get(f"{http}/api/v1/collections").status_code == 200
        children = children_of(program.pid)
        assert len(children) == len(TARGETS)
        (cache,) = (pid for pid, words in children.items() if "--target=cache" in words)
        os.kill(cache, signal.SIGKILL)
        assert program.wait(STOP_SECONDS) == 1
    assert "split: cache ended with -9, so did the others" in log.read_text()
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_ctrl_c_before_all_serve_ends_all_without_a_word(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.split", "--free-ports", "--data-dir"]
    with subprocess.Popen(
        [*command, tmp_path / "data"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        late = time.monotonic() + STOP_SECONDS
        while len(children_of(program.pid)) < len(TARGETS) and time.monotonic() < late:
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        said, told = program.communicate(timeout=STOP_SECONDS)
    assert (said, program.returncode) == ("", 0), told
    assert [line for line in told.splitlines() if " | " not in line] == []


def children_of(parent: int) -> dict[int, list[str]]:
    """The processes that its threads have started, with their command lines."""
    threads = Path(f"/proc/{parent}/task").glob("*/children")
    found = [pid for children in threads for pid in children.read_text().split()]
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in found}
    return {pid: line.split("\0") for pid, line in lines.items()}
