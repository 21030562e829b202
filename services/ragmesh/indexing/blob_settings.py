"""Settings of the store of files."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from ragmesh.chassis.settings import Section
from ragmesh.indexing.adapters.object_place import ObjectPlace

_FILE = "file://"


class S3Settings(Section):
    """How an S3 that `blobs.url` names is reached and entered.

    What is not said here is taken from the environment as AWS's own clients do: AWS_REGION,
    AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, the addresses of instance and container roles.
    """

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/@]+/?$",
        description="URL of a server that is not AWS; by default that of blobs.s3.region at AWS.",
    )
    region: str | None = Field(None, description="Region of the bucket.")
    access_key_id: SecretStr | None = Field(None, description="Name of the key that signs.")
    access_key_id_file: Path | None = Field(None, description="File to read that name from.")
    secret_access_key: SecretStr | None = Field(None, description="The key that signs.")
    secret_access_key_file: Path | None = Field(None, description="File to read that key from.")
    virtual_hosts: bool = Field(
        False,
        description="Whether the bucket is a part of the endpoint's host name, not of the path.",
    )

    def options(self) -> tuple[tuple[str, str], ...]:
        """What of it the store is told."""
        said = {
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": _shown(self.access_key_id),
            "secret_access_key": _shown(self.secret_access_key),
            "virtual_hosted_style_request": "true" if self.virtual_hosts else None,
        }
        return tuple((name, value) for name, value in said.items() if value is not None)


class BlobSettings(Section):
    """Where uploaded files and extracted texts live."""

    url: str | None = Field(
        None,
        pattern=r"^file:///.+|^(s3|gs|az)://[a-zA-Z0-9._-]+(/[^?#]*)?$",
        description="file:///FOLDER, by default blobs in the data directory; or s3://BUCKET/PREFIX,"
        " gs://BUCKET/PREFIX, az://CONTAINER/PREFIX.",
    )
    s3: S3Settings = Field(S3Settings(), description="Of an S3.")
    request_seconds: float = Field(
        10.0,
        gt=0,
        le=300,
        description="Longest time of one request to an object store; blobs above 8 MiB are sent in"
        " parts of that size.",
    )
    requests: int = Field(
        16, gt=0, le=256, description="Most requests of one process to an object store at a time."
    )

    @property
    def object_place(self) -> ObjectPlace | None:
        """Where in an object store; None = a folder holds them."""
        if self.url is None or self.url.startswith(_FILE):
            return None
        options = self.s3.options() if self.url.startswith("s3://") else ()
        return ObjectPlace(self.url, options, self.request_seconds, self.requests)

    def folder(self, default: Path) -> Path:
        """The folder that holds them."""
        return default if self.url is None else Path(self.url.removeprefix(_FILE))


def _shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
