"""The certificates of a cluster, and the kubeconfigs of those who use its API."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.cluster.layout import ADDRESS, API, API_SERVICE, NODE, Layout

_LIFE = datetime.timedelta(days=365)
_SKEW = datetime.timedelta(minutes=5)

USERS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kube-proxy": ("system:kube-proxy", None),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "prometheus": ("prometheus", None),
}
"""Who uses the API: by which name, of which group."""

_API_NAMES = (
    *("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs the certificates of a cluster."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path, name: str) -> Authority:
        """A fresh one, which signs itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name)
        certificate = (
            _builder(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(folder, name, key, certificate)
        return cls(folder, key, certificate)

    def serve(self, name: str, *addresses: str, names: Sequence[str] = ()) -> None:
        """A certificate for one who serves at these addresses and names."""
        known: list[x509.GeneralName] = [
            *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses),
            *map(x509.DNSName, names),
        ]
        extension = x509.SubjectAlternativeName(known)
        self._issue(name, _subject(name), ExtendedKeyUsageOID.SERVER_AUTH, extension)

    def admit(self, name: str, user: str, group: str | None = None) -> None:
        """A certificate for a client."""
        self._issue(name, _subject(user, group), ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _issue(
        self,
        name: str,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self.certificate.subject, key.public_key()).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        _write(self.folder, name, key, builder.sign(self.key, hashes.SHA256()))


def make_keys(layout: Layout) -> None:
    """All certificates of a cluster, and a kubeconfig for each of its users."""
    layout.keys.mkdir(mode=0o700)
    authority = Authority.make(layout.keys, "ca")
    authority.serve("apiserver", ADDRESS, API_SERVICE, "127.0.0.1", names=_API_NAMES)
    authority.serve("kubelet-server", ADDRESS, names=(NODE,))
    authority.admit("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters")
    # Those who answer for the API server know it by an authority of its own.
    Authority.make(layout.keys, "front-ca").admit("front", "front-proxy-client")
    _make_token_key(layout.keys)
    for name, (user, group) in USERS.items():
        authority.admit(name, user, group)
        _write_kubeconfig(layout, name)


def _make_token_key(folder: Path) -> None:
    """What the tokens of service accounts are signed with."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "tokens.key").write_bytes(_pem(key))
    (folder / "tokens.pub").write_bytes(public)


def _write_kubeconfig(layout: Layout, name: str) -> None:
    def encoded(file: str) -> str:
        return base64.b64encode((layout.keys / file).read_bytes()).decode()

    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "ragmesh",
        "clusters": [
            {
                "name": "ragmesh",
                "cluster": {"server": API, "certificate-authority-data": encoded("ca.crt")},
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": encoded(f"{name}.crt"),
                    "client-key-data": encoded(f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": "ragmesh", "context": {"cluster": "ragmesh", "user": name}}],
    }
    path = layout.kubeconfig_of(name)
    path.touch(mode=0o600)
    path.write_text(json.dumps(told))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
    )


def _subject(name: str, group: str | None = None) -> x509.Name:
    groups = [] if group is None else [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _write(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> None:
    (folder / f"{name}.key").write_bytes(_pem(key))
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
