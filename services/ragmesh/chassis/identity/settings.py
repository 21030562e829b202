"""Settings of the identity between services."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from ragmesh.chassis.settings import Section


class IdentitySettings(Section):
    """How users are known at the doors, and the processes of a mesh to each other."""

    admin_key_file: Path | None = Field(
        None,
        description="File with the SHA-256 of the key that runs the mesh, as `ragmesh keys create "
        "--offline` writes it. With it every request needs an API key, and the doors may be opened "
        "beyond this machine; without it the mesh runs in developer mode.",
    )

    key_file: Path | None = Field(
        None,
        description="PEM file of the Ed25519 key that this process signs with; by default "
        "identity/TARGET.key in the data directory, made at the first start.",
    )
    public_keys_file: Path | None = Field(
        None,
        description="File that says which public key may speak for which machines and for users; "
        "by default identity/public-keys.json in the data directory. Set with key_file.",
    )
    reread_seconds: float = Field(
        0.5,
        gt=0,
        le=60,
        description="How often these files are looked at; a changed one is in force at once.",
    )

    @model_validator(mode="after")
    def _refuse_half(self) -> Self:
        if (self.key_file is None) != (self.public_keys_file is None):
            raise ValueError("set both key_file and public_keys_file, or neither")
        return self
