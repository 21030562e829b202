"""A certificate with its key and its authorities, read from files that others put there.

Nothing here runs on the event loop: files are read by a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ragmesh.chassis.secret_files import Mark, mark_of, read_bounded, read_secret, unusable
from ragmesh.core.errors import (
    CertificateExpiredError,
    CertificateNameError,
    CertificateNotYetValidError,
    CertificateUntrustedError,
    CertificateUnusableError,
)

_LARGEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a process proves a name with, and whom it believes."""

    chain: bytes
    """PEM: the certificate itself first."""
    key: bytes
    ca: bytes | None
    """PEM of the authorities; None where nobody else is asked for a certificate."""
    names: tuple[str, ...]
    expires: datetime

    def seconds_left(self, now: datetime) -> float:
        """How long it is valid; negative once it has ended."""
        return (self.expires - now).total_seconds()


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a process finds its certificate."""

    certificate_file: Path
    key_file: Path
    ca_file: Path | None = None

    def read(self, *, now: datetime, name: str | None = None) -> Certificate:
        """The certificate as it is now, or the reason why nobody would accept it.

        `name` is what it has to hold, if that is known.
        """
        path = self.certificate_file
        chain, _ = read_bounded(path, _LARGEST, CertificateUnusableError)
        found = _parsed(path, chain)
        certificate = Certificate(
            chain, self._key(found[0]), self._ca(), names_of(found[0]),
            found[0].not_valid_after_utc,
        )  # fmt: skip
        _refuse_dates(path, found[0], now)
        if name is not None and name not in certificate.names:
            holds = ", ".join(certificate.names) or "no name"
            message = f"{path} holds {holds} and not {name}"
            raise CertificateNameError(message, metadata={"path": str(path), "name": name})
        if self.ca_file is not None and certificate.ca is not None:
            authorities = _parsed(self.ca_file, certificate.ca)
            if not _is_issued(found, authorities):
                raise CertificateUntrustedError(
                    f"{path} was not issued by an authority in {self.ca_file}",
                    metadata={"path": str(path)},
                )
        return certificate

    def marks(self) -> tuple[Mark, ...]:
        """Equal to earlier ones as long as no file has changed."""
        files = (self.certificate_file, self.key_file, self.ca_file)
        return tuple(mark_of(file) for file in files if file is not None)

    def _key(self, certificate: x509.Certificate) -> bytes:
        content = read_secret(self.key_file, _LARGEST, CertificateUnusableError)
        try:
            public = load_pem_private_key(content, password=None).public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise unusable(
                CertificateUnusableError, self.key_file, "holds no unencrypted PEM key"
            ) from None
        if _bytes_of(public) != _bytes_of(certificate.public_key()):
            raise unusable(
                CertificateUnusableError,
                self.key_file,
                f"is not the key of {self.certificate_file}",
            )
        return content

    def _ca(self) -> bytes | None:
        if self.ca_file is None:
            return None
        return read_bounded(self.ca_file, _LARGEST, CertificateUnusableError)[0]


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names of a certificate as others check them: domains and addresses."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = map(str, found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _parsed(path: Path, content: bytes) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise unusable(CertificateUnusableError, path, "holds no PEM certificate") from None


def _refuse_dates(path: Path, certificate: x509.Certificate, now: datetime) -> None:
    ended, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    if ended <= now:
        message = f"{path} is expired since {ended:%Y-%m-%d %H:%M} UTC"
        facts = {"path": str(path), "expires": ended.isoformat()}
        raise CertificateExpiredError(message, metadata=facts)
    if begins > now:
        message = f"{path} is valid from {begins:%Y-%m-%d %H:%M} UTC on only"
        raise CertificateNotYetValidError(message, metadata={"path": str(path)})


def _is_issued(chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]) -> bool:
    """Whether a path leads from the certificate over its chain to an authority."""
    at, between = chain[0], list(chain[1:])
    while True:
        if any(_issued(at, authority) for authority in authorities):
            return True
        above = next((one for one in between if _issued(at, one)), None)
        if above is None:
            return False
        between.remove(above)
        at = above


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _bytes_of(public: object) -> bytes:
    encoded: bytes = public.public_bytes(  # type: ignore[attr-defined]
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return encoded
