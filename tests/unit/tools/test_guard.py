"""The guard of tests/conftest.py fails the unit tests it should, and only those."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parents[2] / "conftest.py"
REFUSED = {
    "a socket": "import socket\ndef test():\n    socket.socket()\n",
    "a connection": "import socket\ndef test():\n    socket.create_connection(('127.0.0.1', 9))\n",
    "a swallowed refusal": (
        "import socket\ndef test():\n"
        "    try:\n        socket.socket()\n    except AssertionError:\n        pass\n"
    ),
    "a sleeping thread": "import time\ndef test():\n    time.sleep(0.001)\n",
    "a sleeping task": "import asyncio\nasync def test():\n    await asyncio.sleep(0.001)\n",
    "a gRPC port": (
        "import grpc\nasync def test():\n    grpc.aio.server().add_insecure_port('127.0.0.1:0')\n"
    ),
}
ALLOWED = {
    "a loop and a yield": "import asyncio\nasync def test():\n    await asyncio.sleep(0)\n",
    "a pair": "import socket\ndef test():\n    [s.close() for s in socket.socketpair()]\n",
    "an event": (
        "import asyncio\nasync def test():\n    await asyncio.wait_for(asyncio.sleep(0), 1)\n"
    ),
}


def run(root: Path, folder: str, texts: dict[str, str]) -> str:
    """Run the texts as test files under tests/<folder> and return pytest's report."""
    target = root / "tests" / folder
    target.mkdir(parents=True)
    shutil.copy(CONFTEST, root / "tests")
    for number, text in enumerate(texts.values()):
        (target / f"test_{number}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov"]
    settings = ["-o", "asyncio_mode=auto", "--rootdir", str(root), "--import-mode=importlib"]
    done = subprocess.run([*command, *settings, str(target)], capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def test_sockets_and_sleeps_fail_a_unit_test(tmp_path: Path) -> None:
    assert run(tmp_path, "unit", REFUSED).startswith(f"{len(REFUSED)} failed in ")


def test_what_a_loop_needs_is_allowed(tmp_path: Path) -> None:
    assert run(tmp_path, "unit", ALLOWED).startswith(f"{len(ALLOWED)} passed in ")


def test_other_tests_may_open_sockets(tmp_path: Path) -> None:
    texts = {"a socket": "import socket\ndef test():\n    socket.socket().close()\n"}
    assert run(tmp_path, "integration", texts).startswith("1 passed in ")
