"""What services promise each other about certificates, over real connections."""  # SEC-5

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.grpc_channels import ChannelOptions, channel, peer_probe
from ragmesh.chassis.grpc_security import DoorSecurity, Server
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.tls.certificates import CertificateFiles
from ragmesh.chassis.tls.development import DevelopmentFolder, Wanted
from ragmesh.chassis.tls.diagnosis import Handshake, certificate_fault
from ragmesh.chassis.tls.following import FollowedCertificate
from ragmesh.chassis.tls.mesh import ListenerSecurity, PeerSecurity
from ragmesh.core.errors import (
    CertificateExpiredError,
    CertificateNameError,
    CertificateRefusedError,
    CertificateUntrustedError,
    EncryptionMismatchError,
    PeerUnavailableError,
    RagmeshError,
    UnavailableError,
)
from tests.integration.chassis.echo import SERVICE, Echo, Stub

CACHE, GATEWAY, RETRIEVAL = (f"{name}.mesh.test" for name in ("cache", "gateway", "retrieval"))
WANTED = [
    Wanted("cache", (CACHE,)),
    Wanted("gateway", (GATEWAY,)),
    Wanted("retrieval", (RETRIEVAL,)),
]
DOOR = Wanted("door", ("localhost", "127.0.0.1"))


def of(files: CertificateFiles, *, now: datetime | None = None) -> FollowedCertificate:
    clock = SystemClock()
    return FollowedCertificate(files, files.read(now=now or clock.now()), clock, name=None)


def authority(folder: Path, *wanted: Wanted, now: datetime | None = None) -> DevelopmentFolder:
    made = DevelopmentFolder(folder)
    made.make(wanted or WANTED, now=now or datetime.now(UTC), days=7)
    return made


@pytest.fixture
def certs(tmp_path: Path) -> DevelopmentFolder:
    return authority(tmp_path / "certs")


@asynccontextmanager
async def cache(shown: FollowedCertificate, *clients: str) -> AsyncIterator[str]:
    """A service at an address, which these may call."""
    security = ListenerSecurity(shown, frozenset(clients))
    options = ServerOptions(grace_seconds=1.0, security=security)
    async with serve(
        "127.0.0.1:0", Echo().register, service_names=[SERVICE], options=options
    ) as server:
        yield server.address


async def asked(address: str, security: PeerSecurity) -> str:
    options = ChannelOptions(peer="cache", default_deadline_seconds=5.0)
    async with channel(address, options=options, security=security) as made:
        reply = await Stub(made).echo(StringValue(value="hello"))
        return str(reply.value)


async def test_two_services_that_prove_their_names_speak(certs: DevelopmentFolder) -> None:
    async with cache(of(certs.files("cache")), GATEWAY) as address:
        assert await asked(address, PeerSecurity(of(certs.files("gateway")), CACHE)) == "hello"


async def test_a_service_that_has_no_business_here_is_refused_by_its_name(
    certs: DevelopmentFolder,
) -> None:
    async with cache(of(certs.files("cache")), GATEWAY) as address:
        with pytest.raises(PeerUnavailableError, match="did not take the call"):
            await asked(address, PeerSecurity(of(certs.files("retrieval")), CACHE))


@dataclass
class Pair:
    """What two sides show each other, and whom the caller expects."""

    shown: FollowedCertificate
    brought: FollowedCertificate
    expected: str = CACHE


def other_name(certs: DevelopmentFolder, _folder: Path) -> Pair:
    return Pair(of(certs.files("cache")), of(certs.files("gateway")), expected=RETRIEVAL)


def untrusted_server(certs: DevelopmentFolder, folder: Path) -> Pair:
    return Pair(of(authority(folder).files("cache")), of(certs.files("gateway")))


def untrusted_client(certs: DevelopmentFolder, folder: Path) -> Pair:
    brought = of(authority(folder).files("gateway"))
    brought.current = replace(brought.current, ca=of(certs.files("gateway")).current.ca)
    return Pair(of(certs.files("cache")), brought)


def ended_server(certs: DevelopmentFolder, folder: Path) -> Pair:
    past = datetime.now(UTC) - timedelta(days=8)
    shown = of(authority(folder, now=past).files("cache"), now=past)
    brought = of(certs.files("gateway"))
    brought.current = replace(brought.current, ca=shown.current.ca)
    return Pair(shown, brought)


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (other_name, CertificateNameError),
        (untrusted_server, CertificateUntrustedError),
        (untrusted_client, CertificateRefusedError),
        (ended_server, CertificateExpiredError),
    ],
)
async def test_what_does_not_fit_is_named_by_a_probe(
    made: Callable[[DevelopmentFolder, Path], Pair],
    error: type[RagmeshError],
    tmp_path: Path,
    certs: DevelopmentFolder,
) -> None:
    pair = made(certs, tmp_path / "others")
    security = PeerSecurity(pair.brought, pair.expected)
    async with (
        cache(pair.shown, GATEWAY) as address,
        channel(address, security=security) as opened,
    ):
        with pytest.raises(error):
            await peer_probe(opened, fault=lambda: security.fault(address))()


async def test_a_peer_that_is_away_is_no_fault_of_certificates(certs: DevelopmentFolder) -> None:
    security = PeerSecurity(of(certs.files("gateway")), CACHE)
    async with channel("127.0.0.1:1", security=security) as made:
        with pytest.raises(UnavailableError) as caught:
            await peer_probe(made, fault=lambda: security.fault("127.0.0.1:1"))()
    assert caught.value.reason == UnavailableError.reason


async def changed(one: FollowedCertificate, before: int) -> None:
    """Return when another certificate is in force."""
    there = asyncio.Event()

    async def look() -> None:
        if one.version > before:
            there.set()

    async with one.following(look):
        await look()
        await there.wait()


@dataclass
class Load:
    """Calls one after the other, until it is enough."""

    stub: Stub
    answered: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, *, least: int) -> None:
        while self.answered < least or not self.enough.is_set():
            await self.stub.echo(StringValue(value="x"))
            self.answered += 1


async def test_certificates_change_under_load_without_a_failed_call(
    certs: DevelopmentFolder,
) -> None:
    shown, brought = of(certs.files("cache")), of(certs.files("gateway"))
    seen: set[str] = set()
    options = ServerOptions(
        grace_seconds=1.0,
        security=ListenerSecurity(shown, frozenset({GATEWAY})),
        max_connection_age_seconds=1.0,
    )
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            serve("127.0.0.1:0", Echo().register, service_names=[SERVICE], options=options)
        )
        made = await stack.enter_async_context(
            channel(server.address, security=PeerSecurity(brought, CACHE))
        )
        load = Load(Stub(made))
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            followers = [group.create_task(one.run(0.02)) for one in (shown, brought)]
            group.create_task(load.run(least=200))
            for _ in range(3):
                versions = shown.version, brought.version
                certs.make(WANTED, now=datetime.now(UTC), days=7, renew=True)
                await changed(shown, versions[0])
                await changed(brought, versions[1])
                seen.add(await _shown_at(server.address, brought))
            load.enough.set()
            for follower in followers:
                follower.cancel()
    assert load.answered >= 200
    assert len(seen) == 3, "each change was shown to a new connection"


async def _shown_at(address: str, brought: FollowedCertificate) -> str:
    """What a new connection is shown."""
    context = ssl.create_default_context(cadata=(brought.current.ca or b"").decode())
    context.load_cert_chain(brought.files.certificate_file, brought.files.key_file)
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname=CACHE)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return hashlib.sha256(certificate).hexdigest()


async def test_a_door_is_believed_by_the_authority_that_a_client_names(tmp_path: Path) -> None:
    certs = authority(tmp_path / "door", DOOR)
    files = certs.files("door")
    door = of(replace(files, ca_file=None))
    async with cache(door) as address:
        server = Server.parse(f"https://{address}", ca_file=files.ca_file)
        async with channel(server.address, security=server.security) as made:
            assert (await Stub(made).echo(StringValue(value="hello"))).value == "hello"
        assert await server.fault() is None
        stranger = await Server.parse(f"https://{address}").fault()
        assert isinstance(stranger, CertificateUntrustedError)
        plain = await Server.parse(address).fault()
        assert isinstance(plain, EncryptionMismatchError)


async def test_a_server_in_the_clear_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    async with serve("127.0.0.1:0", Echo().register, service_names=[SERVICE]) as server:
        fault = await certificate_fault(server.address, Handshake())
    assert isinstance(fault, EncryptionMismatchError)
    assert await certificate_fault("127.0.0.1:1", Handshake()) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://mesh.example", "mesh.example:443"),
        ("grpcs://mesh.example:50051/", "mesh.example:50051"),
        ("https://[::1]", "[::1]:443"),
        ("https://[::1]:50051", "[::1]:50051"),
    ],
)
def test_an_encrypted_address_is_read_as_people_write_it(text: str, address: str) -> None:
    assert Server.parse(text) == Server(address, DoorSecurity())
