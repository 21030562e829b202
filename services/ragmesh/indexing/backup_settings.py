"""Settings of backups."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from ragmesh.chassis.settings import Section
from ragmesh.core.errors import InvalidSettingsError
from ragmesh.indexing.adapters.object_place import ObjectPlace
from ragmesh.indexing.blob_settings import S3Settings

_FOLDER = "file://"
_OBJECTS = ("s3://", "gs://", "az://")
_PLACE = r"^file:///.+|^(s3|gs|az)://[a-zA-Z0-9._-]+(/[^?#]*)?$"
_LIKE_A_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:/")


class BackupSettings(Section):
    """Where backups are kept."""

    url: str | None = Field(
        None,
        pattern=_PLACE,
        description="Where `ragmesh backup create` writes when it is not told: file:///FOLDER, or"
        " s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX.",
    )
    s3: S3Settings | None = Field(
        None, description="Of an S3 that keeps backups; by default that of blobs.s3."
    )
    request_seconds: float = Field(
        60.0,
        gt=0,
        le=600,
        description="Longest time of one request to an object store that keeps backups.",
    )

    def place(self, named: str, default: S3Settings) -> Path | ObjectPlace:
        """Where something that a person named, a folder or a URL, is.

        InvalidSettingsError for any other URL: as the name of a folder it would be a backup that
        stays on this machine.
        """
        if _LIKE_A_URL.match(named) and not re.match(_PLACE, named):
            raise InvalidSettingsError(
                f"{named} names no place for backups: name a folder, file:///FOLDER,"
                " s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
            )
        if not named.startswith(_OBJECTS):
            return Path(named.removeprefix(_FOLDER))
        options = (self.s3 or default).options() if named.startswith("s3://") else ()
        return ObjectPlace(named.rstrip("/"), options, self.request_seconds)
