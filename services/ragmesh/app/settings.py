"""All settings of a process, composed from the sections of its services."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from ragmesh.app.log_settings import LogSettings
from ragmesh.cache.settings import CacheSettings
from ragmesh.chassis.addresses import Address
from ragmesh.chassis.events.settings import EventSettings
from ragmesh.chassis.identity.settings import IdentitySettings
from ragmesh.chassis.settings import Section
from ragmesh.chassis.telemetry.settings import TelemetrySettings
from ragmesh.chassis.tls.settings import TlsSettings
from ragmesh.embedding.settings import EmbeddingSettings
from ragmesh.gateway.settings import GatewaySettings
from ragmesh.generation.settings import GenerationSettings
from ragmesh.indexing.adapters.catalog.places import PostgresPlace, Tls
from ragmesh.indexing.adapters.object_place import ObjectPlace
from ragmesh.indexing.backup_settings import BackupSettings
from ragmesh.indexing.blob_settings import BlobSettings
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from ragmesh.retrieval.settings import RetrievalSettings

Target = Literal[
    "all", "gateway", "embedding", "retrieval", "generation", "cache", "indexing", "indexer"
]
_LOOPBACK = "127.0.0.1"
_POSTGRESQL = "postgresql+asyncpg"
INTERNAL_PORTS = MappingProxyType(
    {
        "embedding": 50061,
        "retrieval": 50062,
        "generation": 50063,
        "cache": 50064,
        "indexing": 50065,
    }
)
"""Where the targets that others call listen, and where they are called, by default."""
INTERNAL_HTTP_PORT = 9090
_IN_FLIGHT, _IN_FLIGHT_BESIDE_WEAVIATE = 8, 64
"""Documents of an indexer at the same time. In Weaviate a write waits for the server's flush."""


class CatalogSettings(Section):
    """Where the catalog lives."""

    url: str | None = Field(
        None,
        pattern=r"^(sqlite\+aiosqlite:///.+|postgresql\+asyncpg://[^/?#]+/[^/?#]+)$",
        description="sqlite+aiosqlite:///PATH, or postgresql+asyncpg://USER@HOST:PORT/DATABASE; by "
        "default catalog.db in the data directory.",
    )
    password_file: Path | None = Field(
        None,
        description="File with the password for the database; read anew for each connection.",
    )
    tls: Literal["off", "verify"] | None = Field(
        None,
        description="Whether connections to the database are encrypted and its name is verified; "
        "by default off on this machine, and verify everywhere else.",
    )
    tls_ca_file: Path | None = Field(
        None,
        description="Certificates that the database's must come from; by default the system's.",
    )
    tls_certificate_file: Path | None = Field(
        None, description="Certificate with which this process proves itself to the database."
    )
    tls_key_file: Path | None = Field(None, description="Key of that certificate.")
    connections: int = Field(
        10, gt=0, le=500, description="Most connections of a process to the database, and one more."
    )
    connect_timeout_seconds: float = Field(
        5.0, gt=0, le=60, description="Longest time in which a connection is made."
    )
    statement_timeout_seconds: float = Field(
        5.0,
        ge=1,
        le=300,
        description="Longest time of a statement in the database, and of waiting for a lock or a "
        "connection; a whole transaction has twice as long.",
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        parts = urlsplit(self.url or "")
        if parts.password is not None:
            raise ValueError("catalog.url must not hold a password: catalog.password_file does")
        if parts.scheme == _POSTGRESQL and not (parts.username and parts.hostname):
            raise ValueError("catalog.url must name a user and a host: postgresql+asyncpg://U@H/D")
        if self.tls == "off" and (self.tls_ca_file or self.tls_certificate_file):
            raise ValueError("catalog.tls is off: the files of catalog.tls_* would not be used")
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("catalog.tls_certificate_file and catalog.tls_key_file go together")
        return self


class IndexSettings(Section):
    """Where index versions live."""

    url: str | None = Field(
        None,
        pattern=r"^sqlite:///.+|^weaviate://.+",
        description="sqlite:///FOLDER of the index versions, by default index in the data "
        "directory; or weaviate://HOST[:HTTP PORT[:GRPC PORT]], by default 8080 and 50051.",
    )
    api_key_file: Path | None = Field(
        None, description="File that holds a key of Weaviate; read again once it was changed."
    )
    tls: bool = Field(False, description="Whether Weaviate speaks TLS, at both of its ports.")
    ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities that Weaviate's certificate may be of; by default"
        " those of the system.",
    )
    timeout_seconds: float = Field(
        5.0,
        gt=0,
        le=60,
        description="Longest wait for Weaviate's answer to a search; a write may take six times"
        " as long.",
    )
    flush_seconds: float = Field(
        2.5,
        ge=0,
        le=120,
        description="How long a write waits until Weaviate ranks its keywords rightly: half a"
        " second above its PERSISTENCE_MEMTABLES_FLUSH_DIRTY_AFTER_SECONDS, which should be 2.",
    )

    @model_validator(mode="after")
    def _refuse_what_files_have_not(self) -> Self:
        weaviate = self.weaviate is not None
        if not weaviate and (self.api_key_file or self.tls or self.ca_file):
            raise ValueError("api_key_file, tls and ca_file need a weaviate:// url")
        if self.ca_file and not self.tls:
            raise ValueError("ca_file needs tls")
        return self

    @property
    def weaviate(self) -> WeaviateServer | None:
        """The server that keeps the index versions; None = files do."""
        if self.url is None or not self.url.startswith("weaviate:"):
            return None
        return replace(
            WeaviateServer.parse(self.url),
            secure=self.tls,
            authorities=self.ca_file,
            api_key_file=self.api_key_file,
            timeout_seconds=self.timeout_seconds,
        )


class InternalSettings(Section):
    """Where a process that runs one service is reached by the rest of the mesh."""

    grpc: str | None = Field(
        None,
        description="Internal gRPC address as HOST:PORT; port 0 is any free one. By default "
        "127.0.0.1 and 50061 (embedding), 50062 (retrieval), 50063 (generation), 50064 (cache) "
        "or 50065 (indexing); other targets have none. The target all has one only if it is set: "
        "it shows the operator, and nobody else, what indexing does.",
    )
    http: str | None = Field(
        None,
        description="HTTP address of probes and metrics as HOST:PORT; port 0 is any free one. By "
        "default 127.0.0.1:9090; the target all has one only if it is set, or with identity.",
    )
    trusted_network: bool = Field(
        False,
        description="Whether the network of internal addresses is the mesh's alone, such as that "
        "of pods behind network policies. Then they may lie beyond this machine without "
        "certificates: calls are signed all the same, and can be read on their way.",
    )
    grace_seconds: int = Field(
        10,
        ge=1,
        le=3_600,
        description="How long calls and streams under way may take to end once a process that "
        "stops takes no new ones; longer than the longest stream, or a restart cuts it.",
    )
    drain_seconds: float = Field(
        2.0,
        ge=0,
        le=60,
        description="How long a process that stops still takes calls, so that its callers turn to "
        "other replicas first; the target all has none and does not wait.",
    )
    connection_age_seconds: float = Field(
        30.0,
        ge=1,
        description="Age at which a gRPC connection takes no new calls, so that callers find new "
        "replicas; the target all keeps connections for ever.",
    )


def _peer(service: str) -> Any:
    return Field(
        f"{_LOOPBACK}:{INTERNAL_PORTS[service]}",
        pattern=r"^\S+:[0-9]{1,5}$|^unix:\S+$",
        description=f"Where the target {service} is called, as HOST:PORT.",
    )


class PeerSettings(Section):
    """Where the services that do not run in this process are called; the others are not dialled."""

    embedding: str = _peer("embedding")
    retrieval: str = _peer("retrieval")
    generation: str = _peer("generation")
    cache: str = _peer("cache")
    indexing: str = _peer("indexing")


class Settings(Section):
    """Everything that can be set; sections belong to the services they name."""

    target: Target = Field("all", description="Which services this process runs.")
    data_dir: Path = Field(
        Path(".data"), description="Folder of every store that has no URL of its own."
    )
    internal: InternalSettings = Field(
        InternalSettings(), description="Where the rest of the mesh reaches this process."
    )
    peers: PeerSettings = Field(
        PeerSettings(), description="Where this process reaches the rest of the mesh."
    )
    identity: IdentitySettings = Field(
        IdentitySettings(),
        description="Keys of users, and those that services prove themselves with.",
    )
    tls: TlsSettings = Field(
        TlsSettings(), description="Certificates that services prove their names with."
    )
    telemetry: TelemetrySettings = Field(
        TelemetrySettings(), description="What the process tells about its work, and to whom."
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
    backup: BackupSettings = Field(BackupSettings(), description="Copies of catalog and files.")

    @model_validator(mode="after")
    def _refuse_shared_files(self) -> Self:
        if self.catalog_path is not None and self.catalog_path == self.events_path:
            raise ValueError("catalog.url and events.url must not name the same file")
        if self.index_path is not None and self.blobs_place == self.index_path:
            raise ValueError("blobs.url and index.url must not name the same folder")
        return self

    @model_validator(mode="after")
    def _refuse_what_the_target_cannot(self) -> Self:
        if self.target == "indexer" and not self.has_shared_work:
            raise ValueError(
                "target indexer needs PostgreSQL and Kafka, which several processes can share; "
                "with SQLite the target indexing runs the indexer, too"
            )
        if self.internal.grpc is not None and self.target not in {"all", *INTERNAL_PORTS}:
            raise ValueError(
                f"internal.grpc contradicts target {self.target}, which no other process calls"
            )
        return self

    @model_validator(mode="after")
    def _refuse_silent_lateness(self) -> Self:
        if self.indexing.publish_wait_seconds <= self.retrieval.stale_after_seconds:
            raise ValueError(
                "indexing.publish_wait_seconds must be above retrieval.stale_after_seconds:"
                " searches that are late with a deletion would not say so"
            )
        return self

    @property
    def internal_grpc(self) -> str | None:
        """Address of the internal gRPC listener; None = the target has none."""
        if self.internal.grpc is not None or self.target not in INTERNAL_PORTS:
            return self.internal.grpc
        return str(Address(_LOOPBACK, INTERNAL_PORTS[self.target]))

    @property
    def internal_http(self) -> str | None:
        """Address of the internal HTTP listener; None = there is none."""
        if self.internal.http is not None or (self.target == "all" and not self.has_identity):
            return self.internal.http
        return str(Address(_LOOPBACK, INTERNAL_HTTP_PORT))

    @property
    def has_identity(self) -> bool:
        """Whether users are known by their keys; without, the mesh runs in developer mode."""
        return self.identity.admin_key_file is not None

    @property
    def is_encrypted(self) -> bool:
        """Whether this target and those that it speaks with prove their names (mTLS)."""
        is_alone = self.target == "all" and self.internal.grpc is None
        return not is_alone and self.tls.files is not None

    @property
    def internal_name(self) -> str:
        """The target that others call this process: of a whole mesh in one they call indexing."""
        return "indexing" if self.target == "all" else self.target

    @property
    def may_listen_beyond(self) -> bool:
        """Whether internal addresses may lie beyond this machine."""
        return self.is_encrypted or self.internal.trusted_network

    @property
    def drain_seconds(self) -> float:
        """How long a listener that stops still takes calls."""
        return 0.0 if self.target == "all" else self.internal.drain_seconds

    @property
    def connection_age_seconds(self) -> float | None:
        """Age at which a gRPC connection takes no new calls; None = never."""
        return None if self.target == "all" else self.internal.connection_age_seconds

    @property
    def catalog_place(self) -> Path | PostgresPlace:
        """File or database of the catalog."""
        section = self.catalog
        url = section.url or ""
        if urlsplit(url).scheme != _POSTGRESQL:
            return self._path(section.url, "sqlite+aiosqlite:///", "catalog.db")
        place = PostgresPlace(
            url,
            section.password_file,
            connections=section.connections,
            connect_seconds=section.connect_timeout_seconds,
            statement_seconds=section.statement_timeout_seconds,
            application=f"ragmesh-{self.target}",
        )
        if section.tls == "off" or (section.tls is None and place.is_local):
            return place
        files = (section.tls_ca_file, section.tls_certificate_file, section.tls_key_file)
        return replace(place, tls=Tls(*files))

    @property
    def catalog_path(self) -> Path | None:
        """File of the catalog; None = it is in a database."""
        place = self.catalog_place
        return place if isinstance(place, Path) else None

    @property
    def has_shared_work(self) -> bool:
        """Whether catalog and events are where several processes reach them."""
        return self.catalog_path is None and (self.events.url or "").startswith("kafka://")

    @property
    def events_path(self) -> Path | None:
        """File of the event log; None = a Kafka keeps it."""
        if self.events.kafka_address is not None:
            return None
        return self._path(self.events.url, "sqlite:///", "events.db")

    @property
    def blobs_place(self) -> Path | ObjectPlace:
        """Folder of the blobs, or where in an object store they are."""
        return self.blobs.object_place or self.blobs.folder(self.data_dir / "blobs")

    @property
    def documents_in_flight(self) -> int:
        """How many documents an indexer works on at the same time."""
        usual = _IN_FLIGHT if self.index.weaviate is None else _IN_FLIGHT_BESIDE_WEAVIATE
        return self.indexing.documents_in_flight or usual

    @property
    def index_path(self) -> Path | None:
        """Folder of the index versions; None = a server keeps them."""
        if self.index.weaviate is not None:
            return None
        return self._path(self.index.url, "sqlite:///", "index")

    @property
    def spool_path(self) -> Path:
        """Folder of the usage that waits for indexing."""
        return self.data_dir / "spool"

    def _path(self, url: str | None, scheme: str, name: str) -> Path:
        return self.data_dir / name if url is None else Path(url.removeprefix(scheme))
