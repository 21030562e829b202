"""Settings of the operator: where the mesh is, whom it looks after, and how often."""

from __future__ import annotations

from pydantic import Field

from ragmesh.chassis.identity.settings import IdentitySettings
from ragmesh.chassis.logs import LogFormat, LogLevel
from ragmesh.chassis.settings import Section
from ragmesh.chassis.tls.settings import TlsSettings


class LogSettings(Section):
    """How the operator tells what it does."""

    form: LogFormat = Field("json", description="json or human.")
    level: LogLevel = Field("info", description="Least severe records that are shown.")


class MeshSettings(Section):
    """The mesh whose collections the resources are."""

    indexing: str = Field(
        "127.0.0.1:50065",
        pattern=r"^\S+:[0-9]{1,5}$|^unix:\S+$",
        description="Where the target indexing, or `all` with internal.grpc, is called.",
    )
    backlog_url: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="Page /backlog of indexing's internal HTTP; without it nothing is scaled.",
    )


class PaceSettings(Section):
    """How often resources are looked at."""

    settled_seconds: float = Field(
        30.0, gt=0, le=60, description="Time between two looks at a resource that is at rest."
    )
    moving_seconds: float = Field(2.0, gt=0, le=60, description="The same while something goes on.")


class WorkerSettings(Section):
    """The indexers that may be scaled."""

    workload: str | None = Field(
        None,
        pattern=r"^(deployments|rollouts)/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
        description="Workload of the indexers, such as deployments/ragmesh-indexer; without it "
        "nothing is scaled.",
    )
    namespace: str = Field("default", description="Namespace of the workload.")
    partitions: int = Field(
        1, ge=1, description="Partitions of the documents' topic: more indexers would do nothing."
    )
    documents_per_second: float = Field(
        2.0, gt=0, description="Documents that one indexer does in a second."
    )
    look_seconds: float = Field(
        5.0, gt=0, le=60, description="Time between two looks at the backlog."
    )


class Settings(Section):
    """Everything that can be set of the operator."""

    namespaces: tuple[str, ...] = Field(
        (), description="Namespaces that it looks after; all of them without any."
    )
    cluster: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,63}$",
        description="Name of the cluster, where several declare collections of one mesh; by "
        "default it is told from others by the certificate authority of its API server.",
    )
    probe: str = Field(
        "http://127.0.0.1:8081/healthz",
        pattern=r"^http://\S+$",
        description="Where it says that it lives.",
    )
    mesh: MeshSettings = Field(MeshSettings(), description="The mesh.")
    pace: PaceSettings = Field(PaceSettings(), description="How often it looks.")
    workers: WorkerSettings = Field(WorkerSettings(), description="The indexers.")
    identity: IdentitySettings = Field(
        IdentitySettings(), description="The key that the operator proves itself with."
    )
    data_dir: str = Field(".data", description="Folder of the key, where identity names no files.")
    tls: TlsSettings = Field(TlsSettings(), description="Certificates, as services have them.")
    log: LogSettings = Field(LogSettings(), description="How it tells what it does.")
