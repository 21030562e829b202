"""The wire that fault tests stretch does to connections what it says, and nothing to bytes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.wires import Weather, Wire, wire_to


@pytest.fixture
def wire() -> Iterator[Wire]:
    """To a server that says everything again."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=_echo, args=(peer,), daemon=True).start()

        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        with wire_to("127.0.0.1", server.getsockname()[1]) as made:
            yield made
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _echo(peer: socket.socket) -> None:
    with peer:
        try:
            while data := peer.recv(65_536):
                peer.sendall(data)
        except OSError:
            return


def connect(wire: Wire, seconds: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", wire.here), timeout=seconds)


def hear(wire: Wire) -> bytes:
    """The first word of a new connection, which may be reset while it is made, or after."""
    with connect(wire) as connection:
        return connection.recv(1)


def said(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (data := connection.recv(65_536)):
        found += data
    return found


def test_in_fine_weather_every_byte_arrives_in_order(wire: Wire) -> None:
    sent = bytes(range(256)) * 2_000
    with connect(wire) as connection:
        threading.Thread(target=connection.sendall, args=(sent,)).start()
        assert said(connection, len(sent)) == sent


def test_a_slow_wire_answers_later(wire: Wire) -> None:
    with connect(wire) as connection:
        wire.slow(0.1)
        began = time.monotonic()
        connection.sendall(b"there and back")
        assert said(connection, 14) == b"there and back"
        assert time.monotonic() - began >= 0.2


def test_a_narrow_wire_takes_its_time_for_much(wire: Wire) -> None:
    with connect(wire) as connection:
        wire.to_server = Weather(bytes_per_second=100_000)
        began = time.monotonic()
        connection.sendall(bytes(20_000))
        assert said(connection, 20_000) == bytes(20_000)
        assert time.monotonic() - began >= 0.2


def test_a_silent_wire_holds_back_until_it_is_healed(wire: Wire) -> None:
    with connect(wire, 0.1) as connection:
        wire.swallow_answers()
        connection.sendall(b"done or not?")
        with pytest.raises(TimeoutError):
            connection.recv(1)
        wire.heal()
        connection.settimeout(5)
        assert said(connection, 12) == b"done or not?"


def test_a_reset_ends_what_stands_and_lets_others_come(wire: Wire) -> None:
    with connect(wire) as connection:
        connection.sendall(b"one")
        assert said(connection, 3) == b"one"
        wire.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with connect(wire) as connection:
        connection.sendall(b"two")
        assert said(connection, 3) == b"two"


def test_a_dead_wire_resets_everybody_until_it_is_healed(wire: Wire) -> None:
    wire.die()
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            hear(wire)
    wire.heal()
    with connect(wire) as connection:
        connection.sendall(b"two")
        assert said(connection, 3) == b"two"
