"""All settings of a process, composed from the sections of its services."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ragmesh.cache.settings import CacheSettings
from ragmesh.chassis.identity.settings import IdentitySettings
from ragmesh.chassis.logs import LogFormat, LogLevel
from ragmesh.chassis.settings import Section
from ragmesh.embedding.settings import EmbeddingSettings
from ragmesh.gateway.settings import GatewaySettings
from ragmesh.generation.settings import GenerationSettings
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.retrieval.settings import RetrievalSettings

Target = Literal["all"]


class LogSettings(Section):
    """How a process tells what it does."""

    form: LogFormat | None = Field(
        None, description="json or human; by default human at a terminal and json elsewhere."
    )
    level: LogLevel = Field("info", description="Least severe records that are shown.")


class CatalogSettings(Section):
    """Where the catalog lives."""

    url: str | None = Field(
        None,
        pattern=r"^sqlite\+aiosqlite:///.+",
        description="sqlite+aiosqlite:///PATH; by default catalog.db in the data directory.",
    )


class EventSettings(Section):
    """Where the event log lives."""

    url: str | None = Field(
        None,
        pattern=r"^sqlite:///.+",
        description="sqlite:///PATH; by default events.db in the data directory.",
    )


class BlobSettings(Section):
    """Where uploaded files and extracted texts live."""

    url: str | None = Field(
        None,
        pattern=r"^file:///.+",
        description="file:///FOLDER; by default blobs in the data directory.",
    )


class IndexSettings(Section):
    """Where index versions live."""

    url: str | None = Field(
        None,
        pattern=r"^sqlite:///.+",
        description="sqlite:///FOLDER of the index versions; by default index in the data "
        "directory.",
    )


class Settings(Section):
    """Everything that can be set; sections belong to the services they name."""

    target: Target = Field("all", description="Which services this process runs.")
    data_dir: Path = Field(
        Path(".data"), description="Folder of every store that has no URL of its own."
    )
    identity: IdentitySettings = Field(
        IdentitySettings(), description="Keys that services prove themselves with."
    )
    log: LogSettings = Field(LogSettings(), description="How the process tells what it does.")
    gateway: GatewaySettings = Field(GatewaySettings(), description="The public doors.")
    embedding: EmbeddingSettings = Field(EmbeddingSettings(), description="The encoders.")
    retrieval: RetrievalSettings = Field(RetrievalSettings(), description="Searching.")
    generation: GenerationSettings = Field(GenerationSettings(), description="Answering.")
    cache: CacheSettings = Field(CacheSettings(), description="What is kept to be faster.")
    indexing: IndexingSettings = Field(IndexingSettings(), description="Taking documents in.")
    catalog: CatalogSettings = Field(CatalogSettings(), description="The catalog's store.")
    events: EventSettings = Field(EventSettings(), description="The event log's store.")
    blobs: BlobSettings = Field(BlobSettings(), description="The store of files.")
    index: IndexSettings = Field(IndexSettings(), description="The store of index versions.")

    @model_validator(mode="after")
    def _refuse_shared_files(self) -> Self:
        if self.catalog_path == self.events_path:
            raise ValueError("catalog.url and events.url must not name the same file")
        if self.blobs_path == self.index_path:
            raise ValueError("blobs.url and index.url must not name the same folder")
        return self

    @property
    def catalog_path(self) -> Path:
        """File of the catalog."""
        return self._path(self.catalog.url, "sqlite+aiosqlite:///", "catalog.db")

    @property
    def events_path(self) -> Path:
        """File of the event log."""
        return self._path(self.events.url, "sqlite:///", "events.db")

    @property
    def blobs_path(self) -> Path:
        """Folder of the blobs."""
        return self._path(self.blobs.url, "file://", "blobs")

    @property
    def index_path(self) -> Path:
        """Folder of the index versions."""
        return self._path(self.index.url, "sqlite:///", "index")

    def _path(self, url: str | None, scheme: str, name: str) -> Path:
        return self.data_dir / name if url is None else Path(url.removeprefix(scheme))
