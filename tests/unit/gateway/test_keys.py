"""Keys are believed while they are fresh, and what is wrong with each has its own reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from ragmesh.chassis.executors import executor
from ragmesh.core.api_keys import digest_of, holds_key, mint_key
from ragmesh.core.callers import MESH, Principal
from ragmesh.core.errors import (
    AdminKeyUnusableError,
    KeyExpiredError,
    KeyMalformedError,
    KeyMissingError,
    KeyRevokedError,
    KeysStaleError,
    KeyUnknownError,
    ScopeMissingError,
    UnavailableError,
)
from ragmesh.core.tenants import KeyChange, NewKey, NewTenant, Quota, TenantChange
from ragmesh.gateway.adapters.admin_key_file import AdminKeyFile, read_admin_key
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.identity import KeyIdentity
from ragmesh.gateway.keys import KeyFollower, KnownKeys
from ragmesh.gateway.limiting.gate import Priority
from ragmesh.gateway.limiting.quotas import Allowance, Allowances
from ragmesh.gateway.quotas import TenantQuotas
from ragmesh.gateway.revoking import turn_out_refused
from ragmesh.gateway.server import DoorGuard
from ragmesh.gateway.settings import GatewaySettings
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.gateway import COLLECTION, FakeMesh
from ragmesh.testing.tenants_contract import ACME, KEEPER

KEEPER_KEY = mint_key()
ASK = "/ragmesh.api.gateway.v1.AskService/Ask"
UPLOAD = "/ragmesh.api.gateway.v1.DocumentService/CreateDocument"
LIST_KEYS = "/ragmesh.api.gateway.v1.AdminService/ListKeys"


@dataclass
class Door:
    """A gateway that follows the keys of its catalog, and time that a test owns."""

    mesh: FakeMesh
    clock: ManualClock
    known: KnownKeys
    identity: KeyIdentity

    async def key(self, tenant: str = "default", *roles: str, **more: object) -> tuple[str, str]:
        """Id and text of a new key that the gateway has heard of."""
        new = NewKey(tenant, "anna", roles=roles or ("read",), **more)  # type: ignore[arg-type]
        key, text = await self.mesh.service().create_key(KEEPER, new)
        await self.hear()
        return key.key_id, text

    async def hear(self) -> None:
        """Let the follower take over what changed."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and the catalog say that nothing has changed."""
        await self.clock.advance(seconds)
        self.mesh.catalog._keys.feed.wake()
        await self.hear()

    def cut_off(self) -> Callable[[], None]:
        """Have the catalog say nothing more of keys, until what is returned is called."""
        feed = self.mesh.catalog._keys.feed
        read = feed._source.keys_after

        async def away(*_: object, **__: object) -> None:
            raise UnavailableError("away")

        def heal() -> None:
            feed._source.keys_after = read  # type: ignore[method-assign]

        feed._source.keys_after = away  # type: ignore[method-assign,assignment]
        feed.wake()
        return heal

    def identify(self, text: str) -> Principal:
        return self.identity.identify([f"Bearer {text}"])


@asynccontextmanager
async def doors(**lease: float) -> AsyncIterator[Door]:
    clock = ManualClock()
    mesh = FakeMesh(clock=clock)
    mesh.catalog.__init__(clock)  # type: ignore[misc]
    await mesh.with_collection()
    known = KnownKeys(clock, **lease)
    made = Door(mesh, clock, known, KeyIdentity(known, lambda: KEEPER_KEY.digest.sha256))
    following = asyncio.create_task(KeyFollower(mesh.catalog, known, clock).run())
    await made.hear()
    yield made
    following.cancel()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with doors() as made:
        yield made


async def test_a_key_is_its_user(door: Door) -> None:
    key_id, text = await door.key("default", "write", groups=("staff",))
    principal = door.identify(text)
    assert (principal.subject, principal.groups) == ("anna", frozenset({"staff"}))
    assert (principal.roles, principal.key_id) == (frozenset({"write"}), key_id)
    assert door.identity.identify([f"bearer  {text} "]) == principal
    assert text not in repr(door.known.__dict__)


async def test_a_key_is_in_force_once_its_maker_has_it(door: Door) -> None:
    service = replace(door.mesh.service(), in_force=door.known.until_known)
    key, made = await service.create_key(KEEPER, NewKey("default", "anna", roles=("read",)))
    assert door.identify(made).subject == "anna"
    _, rotated = await service.rotate_key(KEEPER, key.key_id, overlap_seconds=60)
    assert door.identify(rotated).subject == "anna"


async def test_a_key_is_handed_out_also_where_it_is_not_heard_of_in_time(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    await KnownKeys(door.clock).until_known("away", seconds=0.01)
    assert [one.__dict__["key_id"] for one in caplog.records] == ["away"]


async def test_no_key_and_what_is_none_are_told_apart(door: Door) -> None:
    _, text = await door.key()
    for nothing in ([], [""]):
        with pytest.raises(KeyMissingError):
            door.identity.identify(nothing)
    for odd in (
        "Basic abc",
        f"Basic {text}",
        text,
        "Bearer",
        "Bearer rmk_short",
        f"Bearer {text}0",
    ):
        with pytest.raises(KeyMalformedError):
            door.identity.identify([odd])
    with pytest.raises(KeyMalformedError):
        door.identity.identify([f"Bearer {text}"] * 2)


async def test_a_wrong_secret_is_refused_as_if_there_were_no_such_key(door: Door) -> None:
    key_id, text = await door.key()
    wrong = f"rmk_{key_id}_{'0' * 64}"
    with pytest.raises(KeyUnknownError) as of_wrong:
        door.identify(wrong)
    with pytest.raises(KeyUnknownError) as of_none:
        door.identify(mint_key().text)
    assert of_wrong.value.message == of_none.value.message
    await door.mesh.catalog.revoke_key(KEEPER, key_id, reason="")
    await door.hear()
    with pytest.raises(KeyUnknownError):
        door.identify(wrong)
    with pytest.raises(KeyRevokedError):
        door.identify(text)


async def test_an_expired_key_is_refused_from_its_moment_on(door: Door) -> None:
    _, text = await door.key(expires_at=door.clock.now() + timedelta(seconds=10))
    await door.advance(9)
    assert door.identify(text).subject == "anna"
    await door.advance(1)
    with pytest.raises(KeyExpiredError):
        door.identify(text)


async def test_a_rotated_key_and_its_successor_are_both_good_for_the_overlap(door: Door) -> None:
    key_id, old = await door.key()
    _, new = await door.mesh.service().rotate_key(KEEPER, key_id, overlap_seconds=60)
    await door.hear()
    assert door.identify(old).subject == door.identify(new).subject
    await door.advance(60)
    with pytest.raises(KeyExpiredError):
        door.identify(old)
    assert door.identify(new).subject == "anna"


async def test_a_revoked_group_is_gone_at_once(door: Door) -> None:
    key_id, text = await door.key(groups=("staff", "board"))
    await door.mesh.catalog.update_key(KEEPER, key_id, KeyChange(groups=("staff",)))
    await door.hear()
    assert door.identify(text).groups == frozenset({"staff"})


async def test_keys_of_a_deleted_tenant_are_no_good(door: Door) -> None:
    await door.mesh.catalog.create_tenant(KEEPER, NewTenant("acme"))
    _, text = await door.key("acme")
    assert door.identify(text).tenant_uid != door.identify((await door.key())[1]).tenant_uid
    await door.mesh.catalog.delete_tenant(KEEPER, "acme")
    await door.hear()
    with pytest.raises(KeyUnknownError):
        door.identify(text)


async def test_without_news_for_five_seconds_no_key_is_believed_and_then_all_are_again(
    door: Door,
) -> None:
    _, text = await door.key()

    heal = door.cut_off()
    await door.clock.advance(5)
    assert door.identify(text)
    await door.clock.advance(0.5)
    with pytest.raises(KeysStaleError) as caught:
        door.identify(text)
    assert caught.value.retry_after_seconds
    # Its file is of this machine: it is how one finds out what is wrong.
    assert door.identify(KEEPER_KEY.text).runs_mesh
    heal()
    await door.clock.advance(1)
    assert door.identify(text)


async def test_before_anything_was_heard_no_key_is_believed() -> None:
    known = KnownKeys(ManualClock())
    with pytest.raises(KeysStaleError):
        known.principal_of(mint_key().digest)


async def test_the_key_of_the_file_administers_and_does_nothing_else(door: Door) -> None:
    guard = DoorGuard(door.identity)
    keeper = (("authorization", f"Bearer {KEEPER_KEY.text}"),)
    principal = guard.admit(LIST_KEYS, keeper)
    assert isinstance(principal, Principal)
    assert (principal.roles, principal.is_admin) == (frozenset({MESH}), False)
    for method in (ASK, UPLOAD):
        with pytest.raises(ScopeMissingError):
            guard.admit(method, keeper)


async def test_a_key_may_do_what_its_scope_says_and_no_more(door: Door) -> None:
    guard = DoorGuard(door.identity)
    for role, may in (
        ("read", {ASK}),
        ("write", {ASK, UPLOAD}),
        ("admin", {ASK, UPLOAD, LIST_KEYS}),
    ):
        _, text = await door.key("default", role)
        for method in (ASK, UPLOAD, LIST_KEYS):
            metadata = (("authorization", f"Bearer {text}"),)
            if method in may:
                assert guard.admit(method, metadata)
                continue
            with pytest.raises(ScopeMissingError):
                guard.admit(method, metadata)


async def test_what_a_tenant_was_given_takes_the_place_of_what_all_have(door: Door) -> None:
    await door.mesh.catalog.create_tenant(KEEPER, ACME)
    principal = door.identify((await door.key("acme"))[1])
    everybody = Allowances(tenant=Allowance(1, 1, 99))
    quotas = TenantQuotas(door.known, everybody)
    assert quotas.of(principal).tenant == Allowance(60, 5, 99)
    await door.mesh.catalog.update_tenant(KEEPER, "acme", TenantChange(quota=Quota(7)))
    await door.hear()
    assert quotas.of(principal).tenant == Allowance(7, 1, 99)
    assert quotas.of(Principal("elsewhere", "eve")) == everybody


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/api/v1/collections?api_key=x", 400, "API_KEY_IN_URL"),
        ("/api/v1/collections?Access_Token=x", 400, "API_KEY_IN_URL"),
        (f"/api/v1/collections?q={KEEPER_KEY.text}", 400, "API_KEY_IN_URL"),
        (f"/api/v1/collections?q=%72mk_{KEEPER_KEY.text[4:]}", 400, "API_KEY_IN_URL"),
        (f"/api/v1/collections/{KEEPER_KEY.text}", 400, "API_KEY_IN_URL"),
        ("/api/v1/collections?filter=key", 200, ""),
        ("/api/v1/nothing", 404, "NOT_FOUND"),
    ],
)
async def test_over_http_a_key_comes_in_its_header_and_nowhere_else(
    door: Door, path: str, status: int, reason: str
) -> None:
    _, text = await door.key()
    async with opened(door) as http:
        reply = await http.get(path, headers={"Authorization": f"Bearer {text}"})
        assert reply.status_code == status
        assert reply.json().get("reason", "") == reason


@asynccontextmanager
async def opened(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP to the gateway; its Host is no name of this machine."""
    async with executor("rest", 1) as pool:
        app = make_app(door.mesh.service(), door.identity, pool=pool, version="1")
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="https://mesh.example") as http:
            yield http


async def test_over_http_every_refusal_has_its_status_and_reason(door: Door) -> None:
    key_id, text = await door.key()
    async with opened(door) as http:
        for authorization, reason in (
            (None, "API_KEY_MISSING"),
            ("Bearer nonsense", "API_KEY_MALFORMED"),
            (f"Bearer {mint_key().text}", "API_KEY_UNKNOWN"),
        ):
            headers = {} if authorization is None else {"Authorization": authorization}
            for path in ("/api/v1/collections", "/api/v1/nowhere"):
                reply = await http.get(path, headers=headers)
                assert (reply.status_code, reply.json()["reason"]) == (401, reason)
                assert reply.headers["www-authenticate"] == "Bearer"
        mine = {"Authorization": f"Bearer {text}"}
        assert (await http.get(f"/api/v1/collections/{COLLECTION}", headers=mine)).is_success
        refused = await http.delete(f"/api/v1/collections/{COLLECTION}", headers=mine)
        assert (refused.status_code, refused.json()["reason"]) == (403, "SCOPE_MISSING")
        assert (await http.get("/healthz")).is_success
        await door.mesh.catalog.revoke_key(KEEPER, key_id, reason="")
        await door.hear()
        reply = await http.get("/api/v1/collections", headers=mine)
        assert (reply.status_code, reply.json()["reason"]) == (401, "API_KEY_REVOKED")


async def test_who_has_lost_a_group_is_not_answered_from_what_the_group_had_cached(
    door: Door,
) -> None:
    key_id, text = await door.key(groups=("staff",))
    mine = {"Authorization": f"Bearer {text}"}
    async with opened(door) as http:
        answers = []
        for groups in (("staff",), ("staff",), ()):
            await door.mesh.catalog.update_key(KEEPER, key_id, KeyChange(groups=groups))
            await door.hear()
            reply = await http.post(
                f"/api/v1/collections/{COLLECTION}/ask", json={"question": "Why?"}, headers=mine
            )
            answers.append(reply.json()["cached"])
    assert answers == [False, True, False]


async def test_keys_are_believed_for_as_long_as_the_mesh_says_while_nothing_is_heard() -> None:
    async with doors(lease_seconds=480.0) as door:
        _, text = await door.key()
        door.cut_off()
        await door.clock.advance(480.0)
        assert door.identify(text).subject == "anna"
        await door.clock.advance(1.0)
        with pytest.raises(KeysStaleError):
            door.identify(text)
    with pytest.raises(ValidationError):
        GatewaySettings(key_lease_seconds=601.0)


def test_the_admin_key_file_is_read_as_sha256sum_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "admin"
    digest = sha256(b"x").hexdigest()
    for text in (digest, f"{digest}\n", f"{digest}  admin.key\n"):
        path.write_text(text)
        assert read_admin_key(path).hex() == digest
    for odd in ("", "rmk_secret", digest[:-1], digest.upper()):
        path.write_text(odd)
        with pytest.raises(AdminKeyUnusableError):
            read_admin_key(path)
    with pytest.raises(AdminKeyUnusableError):
        read_admin_key(tmp_path / "missing")


async def test_a_changed_admin_key_is_in_force_and_a_broken_file_changes_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "admin"
    path.write_text("1" * 64)
    file, clock = AdminKeyFile(path), ManualClock()
    looking = asyncio.create_task(file.run(clock, every_seconds=1))
    for text, digest in (("2" * 64, "2" * 64), ("broken", "2" * 64), ("3" * 64, "3" * 64)):
        path.write_text(text)
        await clock.until_asleep()
        await clock.advance(1)
        await clock.until_asleep()
        assert file.sha256.hex() == digest
    looking.cancel()


def test_a_key_has_256_random_bits_and_only_its_digest_is_kept() -> None:
    one, other = mint_key(), mint_key()
    assert one.text != other.text
    assert len(one.text.rpartition("_")[2]) == 64
    assert digest_of(one.text) == one.digest
    assert one.digest.sha256 == sha256(one.text.encode()).digest()
    for secret in (one, one.digest):
        assert one.text.rpartition("_")[2] not in repr(secret)
    assert holds_key(f"see {one.text}!")
    assert not holds_key(f"rmk_{one.digest.key_id}")
    assert digest_of(one.text.upper()) is None


async def test_what_is_taken_away_is_known_of_requests_under_way(door: Door) -> None:
    kept_id, kept = await door.key()
    key_id, text = await door.key()
    of_kept, of_revoked = door.identify(kept), door.identify(text)
    keeper = door.identity.identify([f"Bearer {KEEPER_KEY.text}"])
    assert door.identity.refusal_of(of_revoked) is None
    await door.mesh.catalog.revoke_key(KEEPER, key_id, reason="")
    await door.hear()
    assert isinstance(door.identity.refusal_of(of_revoked), KeyRevokedError)
    assert door.identity.refusal_of(of_kept) is None
    assert door.identity.refusal_of(keeper) is None
    assert kept_id != key_id


async def test_streams_of_a_revoked_key_are_over_within_five_seconds(door: Door) -> None:
    key_id, text = await door.key()
    gate, begun = door.mesh.gate, asyncio.Event()

    async def stream() -> None:
        async with gate.admit(gate.approach(door.identify(text)), Priority.INTERACTIVE):
            begun.set()
            await asyncio.Event().wait()

    streaming = asyncio.create_task(stream())
    looking = asyncio.create_task(turn_out_refused(gate, door.identity, door.clock))
    await begun.wait()
    await door.advance(60)
    assert not streaming.done()
    await door.mesh.catalog.revoke_key(KEEPER, key_id, reason="")
    await door.advance(1.0)
    with pytest.raises(KeyRevokedError):
        await asyncio.wait_for(streaming, 5)
    looking.cancel()
