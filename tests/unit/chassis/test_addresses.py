from __future__ import annotations

import pytest

from ragmesh.chassis.addresses import Address, listening_address
from ragmesh.core.errors import InvalidSettingsError


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("127.8.8.8:1", "127.8.8.8", 1, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:50051", "::1", 50051, True),
        (":9090", "", 9090, False),
        ("0.0.0.0:80", "0.0.0.0", 80, False),
        ("[::]:80", "::", 80, False),
        ("mesh.example.org:65535", "mesh.example.org", 65535, False),
    ],
)
def test_an_address_is_read_and_written_back(
    text: str, host: str, port: int, loopback: bool
) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, address.is_loopback) == (host, port, loopback)
    assert str(address) == text
    assert listening_address(text, allow_remote=True) == address


@pytest.mark.parametrize(
    "text",
    ["", "8080", "localhost", "::1:80", "a:b", "a:-1", "a:65536", "a:80 ", "a:\u0663", "[::1]"],
)
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(InvalidSettingsError, match="HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize("text", [":80", "0.0.0.0:80", "10.0.0.7:80", "localhost.example.org:80"])
def test_what_others_could_reach_is_refused_unless_allowed(text: str) -> None:
    with pytest.raises(InvalidSettingsError, match="loopback"):
        listening_address(text, allow_remote=False)


def test_localhost_means_one_address_whatever_resolves_it() -> None:
    assert Address.parse("localhost:1").bindable == "127.0.0.1"
    assert Address.parse(":1").bindable == "0.0.0.0"
