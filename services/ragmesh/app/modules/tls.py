"""Certificates of this process as a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from ragmesh.app.settings import Settings
from ragmesh.app.wiring import Wiring
from ragmesh.chassis.telemetry.signals import CERTIFICATE_EXPIRY
from ragmesh.chassis.tls.certificates import CertificateFiles
from ragmesh.chassis.tls.following import FollowedCertificate, followed
from ragmesh.chassis.tls.mesh import ListenerSecurity, PeerSecurity


@dataclass(frozen=True, slots=True)
class Tls:
    """What connections of this process are encrypted with; None = they are not."""

    settings: Settings
    service: FollowedCertificate | None = None
    """Of calls between services."""
    door: FollowedCertificate | None = None

    def calling(self, peer: str) -> PeerSecurity | None:
        """For the channel to a peer."""
        name = self.settings.tls.name_of(peer)
        return None if self.service is None else PeerSecurity(self.service, name)

    def called_by(self, targets: Iterable[str]) -> ListenerSecurity | None:
        """For the internal listener, which these targets may call."""
        names = frozenset(map(self.settings.tls.name_of, targets))
        return None if self.service is None else ListenerSecurity(self.service, names)

    def public(self) -> ListenerSecurity | None:
        """For the public gRPC listener."""
        return None if self.door is None else ListenerSecurity(self.door)


@asynccontextmanager
async def open_tls(wiring: Wiring) -> AsyncIterator[Tls]:
    """The certificates that the settings name, for as long as their files are followed."""
    settings = wiring.settings
    async with AsyncExitStack() as stack:
        shown = {
            name: await stack.enter_async_context(
                followed(
                    files,
                    wiring.clock,
                    wiring.life.tasks,
                    every_seconds=settings.tls.reread_seconds,
                    name=name,
                )
            )
            for _, files, name in shown_certificates(settings)
        }
        _show_expiry(wiring, list(shown.values()))
        service = shown.get(settings.tls.name_of(settings.internal_name))
        yield Tls(settings, service, shown.get(None))


def shown_certificates(
    settings: Settings,
) -> list[tuple[str, CertificateFiles, str | None]]:
    """What the target shows: a word for it, its files, and the name that it has to hold."""
    service, door = service_files(settings), settings.gateway.tls.files
    found: list[tuple[str, CertificateFiles, str | None]] = []
    if service is not None:
        found.append(("certificate", service, settings.tls.name_of(settings.internal_name)))
    if door is not None and settings.target in {"all", "gateway"}:
        found.append(("certificate of the doors", door, None))
    return found


def service_files(settings: Settings) -> CertificateFiles | None:
    """The certificate that this target shows to others; one process has none but an operator."""
    return settings.tls.files if settings.is_encrypted else None


def _show_expiry(wiring: Wiring, shown: list[FollowedCertificate]) -> None:
    meter = wiring.telemetry.meter
    if meter is not None and shown:
        meter.observe(CERTIFICATE_EXPIRY, lambda: min(one.seconds_left for one in shown))
