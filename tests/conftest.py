"""Unit tests touch no network and wait for no clock: a test that does, fails."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
import time
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest
from grpc.aio._server import Server as GrpcServer
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling, Scheduling

# How long an example takes says how busy the machine is, and nothing about the promise.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "tests" / "unit"
OURS = (str(ROOT / "services"), str(ROOT / "tests"), str(ROOT / "tools"))

_open_socket = socket.socket.__init__
_thread_sleep = time.sleep
_loop_sleep = asyncio.sleep


class ForbiddenInUnitTestError(AssertionError):
    """A unit test reached for the network or the clock."""


class Guard:
    """Refuses at the call, and remembers, so that a swallowed refusal fails the test as well."""

    def __init__(self) -> None:
        self.refusals: list[str] = []

    def refuse(self, sentence: str) -> None:
        self.refusals.append(sentence)
        raise ForbiddenInUnitTestError(sentence)

    def open_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        """Stand in for socket.__init__. A given descriptor is one end of asyncio's own pair."""
        fileno = kwargs.get("fileno", args[3] if len(args) > 3 else None)
        if fileno is None:
            self.refuse("a unit test opens no socket")
        _open_socket(sock, *args, **kwargs)

    def open_port(self, *_args: Any, **_kwargs: Any) -> int:
        """Stand in for a gRPC server's ports, which the C core would open unseen."""
        self.refuse("a unit test opens no gRPC port")
        return 0

    def sleep(self, seconds: float) -> None:
        if _called_by_us():
            self.refuse("a unit test does not sleep: wait for a condition, or pass a fake clock")
        _thread_sleep(seconds)

    def sleep_in_loop(self, delay: float, result: Any = None) -> Coroutine[Any, Any, Any]:
        if delay > 0 and _called_by_us():
            self.refuse("a unit test does not sleep: wait for an event, or pass a fake clock")
        return _loop_sleep(delay, result)


GUARD = pytest.StashKey[Guard]()


def _called_by_us() -> bool:
    """Tell whether the caller of the stand-in is the project's; libraries may pace themselves."""
    return sys._getframe(2).f_code.co_filename.startswith(OURS)


@pytest.fixture(autouse=True)
def _no_network_and_no_clock(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not request.path.is_relative_to(UNIT):
        return
    guard = request.node.stash[GUARD] = Guard()
    # Functions, not bound methods: only these receive the socket itself.
    monkeypatch.setattr(
        socket.socket, "__init__", lambda sock, *a, **kw: guard.open_socket(sock, *a, **kw)
    )
    monkeypatch.setattr(time, "sleep", guard.sleep)
    monkeypatch.setattr(asyncio, "sleep", guard.sleep_in_loop)
    for method in ("add_insecure_port", "add_secure_port"):
        monkeypatch.setattr(GrpcServer, method, guard.open_port)


class OneMeshAShape(LoadFileScheduling):
    """Gives a worker whole files, and all tests of one mesh, which is then started once."""

    _ON_A_MESH = re.compile(
        r"tests/e2e/.*\[(?P<shape>all|split)\b|(?P<folder>tests/(faults/real|servers/operator)/)"
    )

    def _split_scope(self, nodeid: str) -> str:
        found = self._ON_A_MESH.match(nodeid)
        return found["shape"] or found["folder"] if found else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return OneMeshAShape(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that swallowed its refusal; any other failure has passed through already."""
    outcome = yield
    guard = item.stash.get(GUARD, None)
    if guard is not None and guard.refusals:
        pytest.fail(guard.refusals[0])
    return outcome


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Generator[pytest.LogCaptureFixture, None, None]:
    """What is logged, but by asyncio: gRPC's poller calls back into loops of earlier tests, which
    are closed, and that is told of whichever test runs then."""

    def is_ours(record: logging.LogRecord) -> bool:
        return record.name != "asyncio"

    caplog.handler.addFilter(is_ours)
    yield caplog
    caplog.handler.removeFilter(is_ours)
