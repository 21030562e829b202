"""Settings of certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from ragmesh.chassis.settings import Section
from ragmesh.chassis.tls.certificates import CertificateFiles


class TlsSettings(Section):
    """Certificates of the services of a mesh, with which both sides of each call prove a name."""

    certificate_file: Path | None = Field(
        None,
        description="PEM file of this process's certificate, followed by those between it and its "
        "authority. With it all calls between services are encrypted and both sides are checked "
        "(mTLS), and internal addresses may lie beyond this machine.",
    )
    key_file: Path | None = Field(
        None, description="PEM file of the certificate's private key; nobody else may read it."
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities whose certificates are believed between services; "
        "two while one takes the place of the other.",
    )
    domain: str = Field(
        "ragmesh.internal",
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?$",
        description="What follows the service in the name that its certificate holds, as in "
        "retrieval.ragmesh.internal.",
    )
    reread_seconds: float = Field(
        1.0,
        gt=0,
        le=60,
        description="How often the files of certificates are looked at; a changed one is in force "
        "for new connections at once.",
    )

    @model_validator(mode="after")
    def _refuse_half(self) -> Self:
        given = [file is not None for file in (self.certificate_file, self.key_file, self.ca_file)]
        if any(given) and not all(given):
            raise ValueError("set certificate_file, key_file and ca_file, or none of them")
        return self

    @property
    def files(self) -> CertificateFiles | None:
        """Where the certificate is found; None = calls between services are not encrypted."""
        if self.certificate_file is None or self.key_file is None:
            return None
        return CertificateFiles(self.certificate_file, self.key_file, self.ca_file)

    def name_of(self, service: str) -> str:
        """The name that a service's certificate holds."""
        return f"{service}.{self.domain}"


class DoorTlsSettings(Section):
    """The certificate of the public doors."""

    certificate_file: Path | None = Field(
        None,
        description="PEM file of the doors' certificate, followed by those between it and its "
        "authority. With it both doors speak TLS only.",
    )
    key_file: Path | None = Field(
        None, description="PEM file of the certificate's private key; nobody else may read it."
    )

    @model_validator(mode="after")
    def _refuse_half(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("set both certificate_file and key_file, or neither")
        return self

    @property
    def files(self) -> CertificateFiles | None:
        """Where the certificate is found; None = the doors are not encrypted."""
        if self.certificate_file is None or self.key_file is None:
            return None
        return CertificateFiles(self.certificate_file, self.key_file)
