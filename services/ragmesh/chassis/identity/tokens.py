"""Tokens are signed once and used for most of a minute; each is checked once and then known."""

from __future__ import annotations

import re

from cachetools import LRUCache
from google.protobuf.message import DecodeError

from ragmesh.api.types.v1.caller_pb2 import SignedCaller
from ragmesh.chassis.callers import CALLER_HEADER, Metadata
from ragmesh.chassis.identity.claims import (
    AUDIENCE,
    LIFETIME_SECONDS,
    Claims,
    claims_from_bytes,
    claims_to_bytes,
)
from ragmesh.chassis.identity.keys import KEY_ID_LENGTH, KeyRing, PrivateKey, Speaker
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.clock import Clock
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
)

MAX_TOKEN_BYTES = 16 * 1024
"""About 400 groups of a directory."""
SKEW_SECONDS = 5
"""How far the clocks of two machines may differ."""
REUSE_SECONDS = 45
"""How long a token is used again: whoever gets one has 15 s to connect, to wait and to retry."""
CACHE_BYTES = 8 * 1024 * 1024
"""Tokens kept on either side, of some 300 bytes each; beyond it the oldest are made again."""
_KEY_ID = re.compile(f"[0-9a-f]{{{KEY_ID_LENGTH}}}")


class TokenSigner:
    """The CallerSigner of a process: speaks for its own machine and for whom its key may."""

    def __init__(self, key: PrivateKey, machine: str, speaker: Speaker, clock: Clock) -> None:
        self._key = key
        self._machine = Machine(machine)
        self._speaker = speaker
        self._clock = clock
        self._signed: LRUCache[Caller, tuple[float, Metadata]] = _cache()

    @property
    def key_id(self) -> str:
        """Id of the key that signs now."""
        return self._key.key_id

    def use(self, key: PrivateKey) -> None:
        """Sign with this key from now on."""
        self._key = key
        self._signed = _cache()

    def metadata(self, caller: Caller | None = None) -> Metadata:
        """The call metadata that carries the caller; None = this process's own machine."""
        caller = self._machine if caller is None else caller
        now = self._clock.now().timestamp()
        known = self._signed.get(caller)
        if known is not None and 0 <= now - known[0] < REUSE_SECONDS:
            return known[1]
        metadata = ((CALLER_HEADER, self._sign(caller, now)),)
        self._signed[caller] = (now, metadata)
        return metadata

    def _sign(self, caller: Caller, now: float) -> bytes:
        if not self._speaker.may_speak_for(caller):
            raise InternalError(
                f"the process {self._machine.name} may not speak for {_kind(caller)}"
            )
        claims = claims_to_bytes(caller, issued_at=now)
        signature = self._key.key.sign(claims)
        token = SignedCaller(claims=claims, key_id=self._key.key_id, signature=signature)
        content = token.SerializeToString(deterministic=True)
        _refuse_large(content)
        return content


class TokenVerifier:
    """Believes tokens of one key ring; a ring that changed is a new verifier."""

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        self.ring = ring
        self._clock = clock
        self._known: LRUCache[bytes, tuple[Claims, int]] = LRUCache(
            CACHE_BYTES, getsizeof=lambda entry: entry[1]
        )
        self.checked = 0
        """Signatures that were checked; a token that is known is not checked again."""

    def verify(self, token: bytes) -> Caller:
        """The caller that the token names, or UnauthenticatedError with the reason."""
        _refuse_large(token)
        known = self._known.get(token)
        claims = self._check(token) if known is None else known[0]
        self._refuse_untimely(claims)
        if known is None:
            self._known[token] = (claims, len(token))
        return claims.caller

    def _check(self, token: bytes) -> Claims:
        signed = _signed_caller(token)
        key = self.ring.keys.get(signed.key_id)
        if key is None:
            known = {"key_id": signed.key_id} if _KEY_ID.fullmatch(signed.key_id) else {}
            raise CallerKeyUnknownError("the caller token is of an unknown key", metadata=known)
        self.checked += 1
        named = {"key_id": key.key_id}
        if not key.has_signed(signed.claims, signed.signature):
            raise CallerForgedError("the caller token is not signed by its key", metadata=named)
        claims = claims_from_bytes(signed.claims)
        if claims.audience != AUDIENCE:
            raise CallerAudienceError("the caller token is not for the mesh", metadata=named)
        if not key.speaker.may_speak_for(claims.caller):
            raise CallerKeyNotAllowedError(
                f"the key of the caller token may not speak for {_kind(claims.caller)}",
                metadata=named,
            )
        return claims

    def _refuse_untimely(self, claims: Claims) -> None:
        now = self._clock.now().timestamp()
        if now >= claims.expires_at + SKEW_SECONDS:
            raise CallerExpiredError(
                f"the caller token is older than {LIFETIME_SECONDS} s: its machine's clock "
                "is behind, or somebody kept it"
            )
        if now < claims.issued_at - SKEW_SECONDS:
            raise CallerNotYetValidError(
                f"the caller token is more than {SKEW_SECONDS} s ahead of this machine's clock"
            )


def _cache() -> LRUCache[Caller, tuple[float, Metadata]]:
    return LRUCache(CACHE_BYTES, getsizeof=lambda entry: len(entry[1][0][1]))


def _signed_caller(token: bytes) -> SignedCaller:
    try:
        signed = SignedCaller.FromString(token)
    except DecodeError:
        raise CallerMalformedError("the caller token cannot be read") from None
    # One spelling a token: else each of its many spellings would be checked and kept anew.
    again = SignedCaller(claims=signed.claims, key_id=signed.key_id, signature=signed.signature)
    if again.SerializeToString(deterministic=True) != token:
        raise CallerMalformedError("the caller token is not spelled as it was signed")
    return signed


def _refuse_large(token: bytes) -> None:
    if len(token) > MAX_TOKEN_BYTES:
        raise CallerTooLargeError(
            f"the caller token has {len(token)} bytes, of which at most {MAX_TOKEN_BYTES} are "
            "taken: the user is in too many groups",
            metadata={"limit": str(MAX_TOKEN_BYTES)},
        )


def _kind(caller: Caller) -> str:
    return f"the machine {caller.name[:80]!r}" if isinstance(caller, Machine) else "users"
