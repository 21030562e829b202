from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmesh.api.types.v1 import caller_pb2 as pb
from ragmesh.chassis.callers import CALLER_HEADER
from ragmesh.chassis.identity.claims import claims_to_bytes
from ragmesh.chassis.identity.keys import SPEAKERS, KeyRing, PrivateKey, Speaker
from ragmesh.chassis.identity.tokens import (
    CACHE_BYTES,
    MAX_TOKEN_BYTES,
    REUSE_SECONDS,
    SKEW_SECONDS,
    TokenSigner,
    TokenVerifier,
)
from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.errors import (
    CallerAudienceError,
    CallerExpiredError,
    CallerForgedError,
    CallerKeyNotAllowedError,
    CallerKeyUnknownError,
    CallerMalformedError,
    CallerNotYetValidError,
    CallerTooLargeError,
    InternalError,
    UnauthenticatedError,
)
from ragmesh.testing.callers import EVERYBODY, MeshKeys
from ragmesh.testing.clocks import ManualClock

ANNA = Principal("tenant-1", "anna", frozenset({"staff", "sales"}), frozenset({"admin"}), "3f2a")


class Ends:
    """A signer and a verifier that believes it, on one clock."""

    def __init__(self, target: str = "gateway") -> None:
        self.clock = ManualClock()
        self.keys = MeshKeys(self.clock)
        self.signer = self.keys.signer(target)
        self.verifier = TokenVerifier(self.keys.ring, self.clock)

    def token(self, caller: Caller | None = None) -> bytes:
        ((name, token),) = self.signer.metadata(caller)
        assert name == CALLER_HEADER
        assert isinstance(token, bytes)
        return token

    def signed(
        self, change: Callable[[pb.CallerClaims], object], *, target: str = "gateway"
    ) -> bytes:
        """A token of Anna's, changed before a key of the mesh signed it."""
        now = self.clock.now().timestamp()
        claims = pb.CallerClaims.FromString(claims_to_bytes(ANNA, issued_at=now))
        change(claims)
        content = claims.SerializeToString()
        key = self.keys.private[target]
        signature = key.key.sign(content)
        return pb.SignedCaller(
            claims=content, key_id=key.key_id, signature=signature
        ).SerializeToString()


@dataclass
class MovedClock(ManualClock):
    """Shows the time of one clock the first time, and of another one from then on."""

    first: ManualClock
    then: ManualClock

    def now(self) -> datetime:
        shown, self.first = self.first.now(), self.then
        return shown


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.mark.parametrize(
    "caller",
    [ANNA, Principal("tenant-2", "robert"), Machine("gateway")],
    ids=["an admin with groups", "a plain user", "a machine"],
)
def test_what_was_signed_is_what_is_believed(ends: Ends, caller: Caller) -> None:
    assert ends.verifier.verify(ends.token(caller)) == caller


def test_without_a_caller_a_process_speaks_as_its_own_machine(ends: Ends) -> None:
    assert ends.verifier.verify(ends.token()) == Machine("gateway")


def test_a_token_says_exactly_what_its_contract_says(ends: Ends) -> None:
    signed = pb.SignedCaller.FromString(ends.token(ANNA))
    claims = pb.CallerClaims.FromString(signed.claims)
    now = ends.clock.now().timestamp()
    assert claims.audience == "mesh"
    assert claims.issued_at.ToMicroseconds() / 1e6 == now
    assert claims.expires_at.ToMicroseconds() / 1e6 == now + 60
    assert list(claims.principal.groups) == ["sales", "staff"]
    assert len(signed.signature) == 64
    public = ends.keys.ring.keys[signed.key_id]
    assert public.has_signed(signed.claims, signed.signature)


async def test_a_token_is_signed_once_and_used_until_it_is_15_seconds_from_its_end(
    ends: Ends,
) -> None:
    first = ends.token(ANNA)
    await ends.clock.advance(REUSE_SECONDS - 0.1)
    assert ends.token(ANNA) == first
    await ends.clock.advance(0.1)
    second = ends.token(ANNA)
    assert second != first
    await ends.clock.advance(14.9)
    assert ends.verifier.verify(first) == ends.verifier.verify(second) == ANNA


def test_a_clock_that_was_put_back_makes_a_new_token(ends: Ends) -> None:
    earlier = ManualClock(ends.clock.now() - timedelta(seconds=30))
    ahead = ends.token(ANNA)
    ends.signer = TokenSigner(
        ends.keys.private["gateway"],
        "gateway",
        SPEAKERS["gateway"],
        MovedClock(ends.clock, earlier),
    )
    assert ends.token(ANNA) == ahead
    assert ends.token(ANNA) != ahead


async def test_a_token_is_checked_once_and_then_known(ends: Ends) -> None:
    token = ends.token(ANNA)
    for _ in range(100):
        ends.verifier.verify(token)
    assert ends.verifier.checked == 1
    await ends.clock.advance(REUSE_SECONDS)
    ends.verifier.verify(ends.token(ANNA))
    assert ends.verifier.checked == 2


async def test_a_known_token_expires_all_the_same(ends: Ends) -> None:
    token = ends.token(ANNA)
    ends.verifier.verify(token)
    await ends.clock.advance(60 + SKEW_SECONDS - 0.1)
    assert ends.verifier.verify(token) == ANNA
    await ends.clock.advance(0.1)
    with pytest.raises(CallerExpiredError):
        ends.verifier.verify(token)
    with pytest.raises(CallerExpiredError):
        TokenVerifier(ends.keys.ring, ends.clock).verify(token)


async def test_a_token_from_the_future_is_believed_once_its_moment_is_near(ends: Ends) -> None:
    def ahead(claims: pb.CallerClaims) -> None:
        claims.issued_at.seconds += 10
        claims.expires_at.seconds += 10

    token = ends.signed(ahead)
    with pytest.raises(CallerNotYetValidError):
        ends.verifier.verify(token)
    await ends.clock.advance(10 - SKEW_SECONDS)
    assert ends.verifier.verify(token) == ANNA


def year(claims: pb.CallerClaims) -> None:
    claims.expires_at.seconds += 365 * 24 * 3600


def no_end(claims: pb.CallerClaims) -> None:
    claims.ClearField("expires_at")


def absurd(claims: pb.CallerClaims) -> None:
    claims.issued_at.seconds = -(2**63)
    claims.expires_at.seconds = 2**63 - 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda claims: setattr(claims, "audience", "bank"), CallerAudienceError),
        (lambda claims: claims.ClearField("audience"), CallerAudienceError),
        (lambda claims: claims.ClearField("principal"), CallerMalformedError),
        (lambda claims: claims.principal.ClearField("tenant_uid"), CallerMalformedError),
        (lambda claims: claims.principal.ClearField("subject"), CallerMalformedError),
        (lambda claims: claims.machine.SetInParent(), CallerMalformedError),
        (lambda claims: setattr(claims.machine, "name", "indexer"), CallerKeyNotAllowedError),
        (year, CallerMalformedError),
        (no_end, CallerMalformedError),
        (absurd, CallerMalformedError),
    ],
    ids=[
        "for another audience",
        "for nobody",
        "of nobody",
        "of a user without a tenant",
        "of a user without a name",
        "of a machine without a name",
        "of a machine that the key may not speak for",
        "for a year",
        "for ever",
        "with moments that no clock shows",
    ],
)
def test_a_signed_token_that_says_too_much_or_too_little_is_refused(
    ends: Ends,
    change: Callable[[pb.CallerClaims], object],
    error: type[UnauthenticatedError],
) -> None:
    with pytest.raises(error) as caught:
        ends.verifier.verify(ends.signed(change))
    assert type(caught.value) is error


@pytest.mark.parametrize("target", sorted(set(SPEAKERS) - {"gateway"}))
def test_only_the_key_of_the_gateway_speaks_for_users(ends: Ends, target: str) -> None:
    with pytest.raises(CallerKeyNotAllowedError):
        ends.verifier.verify(ends.signed(lambda _: None, target=target))
    with pytest.raises(InternalError):
        ends.keys.signer(target).metadata(ANNA)


def to_machine(name: str) -> Callable[[pb.CallerClaims], object]:
    return lambda claims: setattr(claims.machine, "name", name)


@pytest.mark.parametrize("target", SPEAKERS)
def test_a_key_speaks_for_its_own_machine_and_for_no_foreign_one(ends: Ends, target: str) -> None:
    machines = {"gateway", "embedding", "retrieval", "generation", "cache", "indexing", "indexer",
                "operator", "tester"}  # fmt: skip
    believed = set()
    for name in machines:
        token = ends.signed(to_machine(name), target=target)
        try:
            assert ends.verifier.verify(token) == Machine(name)
        except CallerKeyNotAllowedError:
            continue
        believed.add(name)
    assert believed == {target} | ({"indexer"} if target == "indexing" else set())


def test_a_key_that_is_not_in_the_ring_is_unknown_whatever_it_says(ends: Ends) -> None:
    stranger = TokenSigner(PrivateKey.make(), "gateway", EVERYBODY, ends.clock)
    ((_, token),) = stranger.metadata(ANNA)
    assert isinstance(token, bytes)
    with pytest.raises(CallerKeyUnknownError) as caught:
        ends.verifier.verify(token)
    assert caught.value.metadata == {"key_id": stranger.key_id}


def test_a_stranger_who_uses_the_id_of_a_key_is_a_forger(ends: Ends) -> None:
    stranger = TokenSigner(PrivateKey.make(), "gateway", EVERYBODY, ends.clock)
    ((_, token),) = stranger.metadata(ANNA)
    assert isinstance(token, bytes)
    forged = pb.SignedCaller.FromString(token)
    forged.key_id = ends.signer.key_id
    with pytest.raises(CallerForgedError):
        ends.verifier.verify(forged.SerializeToString())


def test_a_key_id_that_is_no_key_id_is_not_repeated(ends: Ends) -> None:
    token = pb.SignedCaller(claims=b"x", key_id="\x1b[31m" + "x" * 500, signature=b"y")
    with pytest.raises(CallerKeyUnknownError) as caught:
        ends.verifier.verify(token.SerializeToString())
    assert caught.value.metadata == {}


def test_a_token_above_the_limit_is_refused_by_both_ends(ends: Ends) -> None:
    many = Principal("tenant-1", "anna", frozenset(f"group-{n:032}" for n in range(500)))
    with pytest.raises(CallerTooLargeError):
        ends.signer.metadata(many)
    with pytest.raises(CallerTooLargeError) as caught:
        ends.verifier.verify(b"x" * (MAX_TOKEN_BYTES + 1))
    assert caught.value.metadata == {"limit": str(MAX_TOKEN_BYTES)}
    assert ends.verifier.checked == 0


def test_a_user_in_four_hundred_groups_is_known(ends: Ends) -> None:
    many = Principal("tenant-1", "anna", frozenset(f"group-{n:030}" for n in range(400)))
    assert ends.verifier.verify(ends.token(many)) == many


def test_what_is_kept_of_tokens_is_bounded(ends: Ends) -> None:
    groups = frozenset(f"group-{n:030}" for n in range(400))
    users = [Principal("tenant-1", f"user-{n}", groups) for n in range(700)]
    tokens = [ends.token(user) for user in users]
    for token in tokens:
        ends.verifier.verify(token)
    assert sum(map(len, tokens)) > CACHE_BYTES
    ends.verifier.verify(tokens[0])  # the oldest was let go, and is checked again
    ends.verifier.verify(tokens[-1])  # the newest is known
    assert ends.verifier.checked == len(users) + 1


def test_another_spelling_of_a_token_is_not_the_token(ends: Ends) -> None:
    token = ends.token(ANNA)
    unknown_field = bytes([0x7A, 1, 0])  # number 15, one byte
    for spelling in (token + unknown_field, token + token, unknown_field + token):
        with pytest.raises(UnauthenticatedError):
            ends.verifier.verify(spelling)


async def test_another_key_signs_from_the_moment_it_is_used(ends: Ends) -> None:
    first = ends.token(ANNA)
    key = PrivateKey.make()
    ends.signer.use(key)
    second = ends.token(ANNA)
    assert pb.SignedCaller.FromString(second).key_id == key.key_id
    both = KeyRing.of(
        *ends.keys.ring.keys.values(), key.public(Speaker(frozenset({"gateway"}), users=True))
    )
    verifier = TokenVerifier(both, ends.clock)
    assert verifier.verify(first) == verifier.verify(second) == ANNA


_SHARED = Ends()
_TOKEN = _SHARED.token(ANNA)


@settings(max_examples=300)
@given(st.integers(0, len(_TOKEN) - 1), st.integers(1, 255))
def test_no_byte_of_a_token_can_be_changed(position: int, change: int) -> None:
    tampered = bytearray(_TOKEN)
    tampered[position] ^= change
    with pytest.raises(UnauthenticatedError):
        _SHARED.verifier.verify(bytes(tampered))


@settings(max_examples=100)
@given(st.integers(0, len(_TOKEN) - 1), st.binary(max_size=8), st.integers(0, 8))
def test_nothing_can_be_put_into_a_token_or_taken_out(
    position: int, inserted: bytes, removed: int
) -> None:
    tampered = _TOKEN[:position] + inserted + _TOKEN[position + removed :]
    if tampered == _TOKEN:
        return
    with pytest.raises(UnauthenticatedError):
        _SHARED.verifier.verify(tampered)


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_noise_is_refused_as_a_token_and_never_an_accident(noise: bytes) -> None:
    with pytest.raises(UnauthenticatedError):
        _SHARED.verifier.verify(noise)


names = st.text(min_size=1, max_size=20).filter(str.strip)


@settings(max_examples=100)
@given(
    st.builds(
        Principal,
        tenant_uid=names,
        subject=names,
        groups=st.frozensets(names, max_size=5),
        roles=st.frozensets(names, max_size=2),
    )
)
def test_every_user_arrives_as_they_are(user: Principal) -> None:
    assert _SHARED.verifier.verify(_SHARED.token(user)) == user
