"""Real keys, signers and guards for tests, without a file."""

from __future__ import annotations

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.identity.guard import MeshGuard
from ragmesh.chassis.identity.keys import SPEAKERS, KeyRing, PrivateKey, Speaker
from ragmesh.chassis.identity.refusals import Refusals
from ragmesh.chassis.identity.tokens import TokenSigner, TokenVerifier
from ragmesh.core.clock import Clock

EVERYBODY = Speaker(frozenset().union(*(speaker.machines for speaker in SPEAKERS.values())), True)


class MeshKeys:
    """One key a target, and a guard that believes all of them."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = SystemClock() if clock is None else clock
        self.private = {target: PrivateKey.make() for target in SPEAKERS}
        self._universal = PrivateKey.make()
        self.ring = KeyRing.of(
            self._universal.public(EVERYBODY),
            *(self.private[target].public(speaker) for target, speaker in SPEAKERS.items()),
        )
        self.refusals = Refusals(self.clock)
        self.guard = MeshGuard(TokenVerifier(self.ring, self.clock), self.refusals)

    def signer(self, target: str) -> TokenSigner:
        """The signer of a process that runs this target."""
        return TokenSigner(self.private[target], target, SPEAKERS[target], self.clock)

    def universal_signer(self, machine: str) -> TokenSigner:
        """A signer for contract suites: it speaks for users and for every machine, by default
        for this one."""
        return TokenSigner(self._universal, machine, EVERYBODY, self.clock)
