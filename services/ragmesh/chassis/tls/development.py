"""An authority for development, and a certificate of it for every service and the doors.

For a laptop and for tests: whoever holds the folder can be any service. In production an issuer
with a guarded key makes the same files.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ragmesh.chassis.files import make_folder_durably, write_durably
from ragmesh.chassis.locks import turn
from ragmesh.chassis.tls.certificates import CertificateFiles
from ragmesh.core.errors import CertificateUnusableError, RagmeshError

CA, DOOR = "ca", "door"
_CA_LENGTH = timedelta(days=90)
_USES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
_SKEW = timedelta(minutes=5)
"""Clocks of two machines differ, and a certificate that was made just now is used just now."""
_PUBLIC_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate that the folder should hold."""

    file: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one certificate."""

    file: str
    names: tuple[str, ...]
    expires: datetime
    is_new: bool


@dataclass(frozen=True, slots=True)
class DevelopmentFolder:
    """Where the authority and its certificates lie."""

    folder: Path

    def files(self, name: str) -> CertificateFiles:
        """Certificate and key of a service or of the doors."""
        return CertificateFiles(
            self.folder / f"{name}.pem", self.folder / f"{name}.key", self.folder / f"{CA}.pem"
        )

    def make(
        self, wanted: Sequence[Wanted], *, now: datetime, days: int, renew: bool = False
    ) -> list[Made]:
        """Have a certificate of each for some time; one that is good for longer than a third of
        its days stays, unless all are to be made anew."""
        make_folder_durably(self.folder)
        term = _Term(now, timedelta(days=days))
        with turn(self.folder / CA):
            authority = self._authority(term)
            return [self._made(one, authority, term, renew=renew) for one in wanted]

    def _made(self, wanted: Wanted, authority: _Authority, term: _Term, *, renew: bool) -> Made:
        kept = None if renew else self._kept(wanted, authority, term)
        if kept is not None:
            return Made(wanted.file, wanted.names, kept, is_new=False)
        files, key = self.files(wanted.file), generate_private_key(SECP256R1())
        certificate = (
            _begun(_name(wanted.names[0]), authority.certificate.subject, key, term)
            .add_extension(_alternatives(wanted.names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_USES), critical=False)
            .add_extension(_authority_id(authority.certificate), critical=False)
            .sign(authority.key, SHA256())
        )
        # A process that looks in between finds a key that does not fit, and looks again.
        write_durably(files.key_file, _pem_of(key))
        write_durably(
            files.certificate_file, certificate.public_bytes(Encoding.PEM), mode=_PUBLIC_MODE
        )
        return Made(wanted.file, wanted.names, term.end, is_new=True)

    def _kept(self, wanted: Wanted, authority: _Authority, term: _Term) -> datetime | None:
        """When the certificate that is there ends, if it may stay."""
        try:
            found = self.files(wanted.file).read(now=term.begin)
            parsed = x509.load_pem_x509_certificate(found.chain)
            parsed.verify_directly_issued_by(authority.certificate)
        except (RagmeshError, ValueError, TypeError, InvalidSignature):
            return None
        fits = set(found.names) == set(wanted.names)
        return found.expires if fits and found.expires - term.begin > term.length / 3 else None

    def _authority(self, term: _Term) -> _Authority:
        certificate_file, key_file = self.folder / f"{CA}.pem", self.folder / f"{CA}.key"
        before = _certificates(certificate_file)
        if before and key_file.exists():
            found = _Authority(_key(key_file), before[-1])
            if found.certificate.not_valid_after_utc > term.end:
                return found
        made = _new_authority(_Term(term.begin, max(_CA_LENGTH, 2 * term.length)))
        # Processes that run believe the one before as well, until they all show the new one.
        believed = [one for one in before if one.not_valid_after_utc > term.begin][-1:]
        write_durably(key_file, _pem_of(made.key))
        write_durably(
            certificate_file,
            b"".join(one.public_bytes(Encoding.PEM) for one in (*believed, made.certificate)),
            mode=_PUBLIC_MODE,
        )
        return made


@dataclass(frozen=True, slots=True)
class _Term:
    """How long something is valid."""

    begin: datetime
    length: timedelta

    @property
    def end(self) -> datetime:
        # Certificates know whole seconds.
        return (self.begin + self.length).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class _Authority:
    key: EllipticCurvePrivateKey
    certificate: x509.Certificate


def _new_authority(term: _Term) -> _Authority:
    key = generate_private_key(SECP256R1())
    # Two authorities of one name cannot be told apart by those who check a chain.
    name = _name(f"ragmesh development {term.begin:%Y-%m-%d %H:%M:%S.%f}")
    certificate = (
        _begun(name, name, key, term)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True,
                content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, SHA256())
    )  # fmt: skip
    return _Authority(key, certificate)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, term: _Term
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(term.begin - _SKEW)
        .not_valid_after(term.end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _authority_id(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    subject = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_alternative(name) for name in names])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise CertificateUnusableError(
            f"{path} holds no authority; remove it to make another", metadata={"path": str(path)}
        ) from error


def _key(path: Path) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateUnusableError(
            f"{path} holds no key; remove it to make another authority",
            metadata={"path": str(path)},
        ) from error
    if not isinstance(key, EllipticCurvePrivateKey):
        raise CertificateUnusableError(f"{path} holds a key of another kind")
    return key


def _pem_of(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
