"""Where servers listen, and what they say when they cannot."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.addresses import Address
from ragmesh.chassis.grpc_channels import channel
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.http_servers import HttpOptions, serve_http
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.core.errors import InvalidSettingsError, PortInUseError
from tests.integration.chassis.echo import SERVICE, Echo, Stub


@pytest.fixture
def taken() -> Iterator[str]:
    """An address on which somebody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(params=["grpc", "http"])
def serving(request: pytest.FixtureRequest) -> Any:
    """Starts a server of either kind."""

    def start(
        life: Lifecycle, address: str, *, allow_remote: bool = False
    ) -> AbstractAsyncContextManager[Any]:
        if request.param == "grpc":
            options = ServerOptions(allow_remote=allow_remote)
            return serve(address, Echo().register, service_names=[SERVICE], options=options)
        http = HttpOptions(allow_remote=allow_remote)
        return serve_http(None, address, tasks=life.tasks, options=http)

    return start


async def refused(serving: Any, address: str) -> BaseException:
    async with Lifecycle() as life:
        with pytest.raises((PortInUseError, InvalidSettingsError)) as caught:
            await life.stack.enter_async_context(serving(life, address))
    return caught.value


async def test_a_port_in_use_is_said_in_one_sentence(
    serving: Any, taken: str, capfd: pytest.CaptureFixture[str]
) -> None:
    error = await refused(serving, taken)
    assert isinstance(error, PortInUseError)
    assert taken in str(error)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("address", ["0.0.0.0:0", ":0", "192.0.2.1:0", "[::]:0", "example.org:0"])
async def test_only_loopback_is_listened_on_unless_allowed(serving: Any, address: str) -> None:
    error = await refused(serving, address)
    assert isinstance(error, InvalidSettingsError)
    assert "loopback" in str(error)


async def test_an_address_that_is_not_ours_is_said(serving: Any) -> None:
    async with Lifecycle() as life:
        with pytest.raises(InvalidSettingsError, match="cannot be listened on"):
            await life.stack.enter_async_context(serving(life, "192.0.2.1:0", allow_remote=True))


async def test_port_0_takes_a_free_one_and_says_which(serving: Any) -> None:
    async with Lifecycle() as life:
        server = await life.stack.enter_async_context(serving(life, "127.0.0.1:0"))
        port = Address.parse(server.address).port
        assert port > 0
        with socket.create_connection(("127.0.0.1", port)):
            pass


async def test_all_interfaces_are_listened_on_when_allowed(serving: Any) -> None:
    async with Lifecycle() as life:
        server = await life.stack.enter_async_context(serving(life, ":0", allow_remote=True))
        with socket.create_connection(("127.0.0.1", Address.parse(server.address).port)):
            pass


def test_a_server_that_stops_just_as_a_connection_comes_ends_without_a_crash() -> None:
    """In a process of its own, since what failed here was a fault in native code."""
    rounds = """
import socket
from ragmesh.chassis.executors import run
from ragmesh.chassis.grpc_servers import serve

async def once():
    async with serve("127.0.0.1:0", lambda _: None, service_names=[]) as server:
        host, port = server.address.split(":")
        socket.create_connection((host, int(port))).close()

for _ in range(300):
    run(once())
"""
    ended = subprocess.run([sys.executable, "-c", rounds], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


async def test_a_unix_socket_that_is_served_is_not_stolen(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    first = Echo()
    async with serve(address, first.register, service_names=[SERVICE]):
        with pytest.raises(PortInUseError):
            await serve(address, Echo().register, service_names=[SERVICE]).__aenter__()
        async with channel(address) as made:
            await Stub(made).echo(StringValue(value="x"))
    assert first.calls == 1


async def test_a_unix_socket_left_by_a_dead_process_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    async with serve(f"unix:{tmp_path}/s", Echo().register, service_names=[SERVICE]):
        assert (tmp_path / "s").is_socket()


async def test_a_unix_socket_without_its_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingsError, match="folder"):
        await serve(f"unix:{tmp_path}/no/s", Echo().register, service_names=[]).__aenter__()
