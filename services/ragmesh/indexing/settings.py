"""Settings of indexing."""

from __future__ import annotations

from pydantic import Field

from ragmesh.chassis.settings import Section
from ragmesh.core.reading import Sandbox
from ragmesh.indexing.repairs import ReconcilerLimits

MEBIBYTE = 1024 * 1024
_HOUR_SECONDS = 3_600.0
_DAY_SECONDS = 86_400.0


class IndexingSettings(Section):
    """What indexing takes in at most and how its catalog is held."""

    max_file_bytes: int | None = Field(
        None,
        gt=0,
        le=32 * MEBIBYTE,
        description="Largest document that the catalog accepts, whoever brings it; by default what"
        " gateway.file_megabytes says, by which the doors refuse it earlier.",
    )
    refused_types: frozenset[str] = Field(
        frozenset(),
        description="Media types that are not taken, such as `text/html`; a file's bytes tell its"
        " type, and its job ends with UNSUPPORTED_FORMAT.",
    )
    sandbox: Sandbox = Field(
        default_factory=Sandbox.default,
        description="Whether the processes that read foreign files must be sealed. `required`"
        " refuses to start where the kernel cannot raise every wall; `best-effort` raises those it"
        " can, and is the default where there is no Linux.",
    )
    max_batch_documents: int = Field(
        1_000, gt=0, le=1_000, description="Most documents of one upload request."
    )
    catalog_readers: int = Field(
        4, gt=0, le=64, description="Connections that read the catalog at the same time."
    )
    catalog_group_units: int = Field(
        64, gt=0, le=1_024, description="Most catalog writes that share one commit."
    )
    catalog_queue_units: int = Field(
        4_096,
        gt=0,
        description="Most catalog writes that may wait; more are refused with RESOURCE_EXHAUSTED.",
    )
    blob_threads: int = Field(
        2, gt=0, le=64, description="Threads that write and read uploaded files."
    )
    heads_heartbeat_seconds: float = Field(
        1.0, gt=0, le=4, description="Seconds between two signs of life to followers of heads."
    )
    publish_wait_seconds: float = Field(
        10.0,
        gt=0,
        le=120,
        description="Longest time in seconds that a publication waits for its followers; longer"
        " than retrieval.stale_after_seconds, so that a follower who is later still says so.",
    )
    job_reread_seconds: float = Field(
        5.0, gt=0, le=60, description="Seconds after which a watched job is read again anyway."
    )
    route_fresh_seconds: float = Field(
        5.0, gt=0, le=600, description="Seconds for which a collection's route is remembered."
    )
    documents_in_flight: int = Field(
        8, gt=0, le=64, description="Documents that an indexer works on at the same time."
    )
    job_retention_days: float = Field(
        30.0,
        gt=0,
        description="Days for which jobs are kept after their end; a document's last one stays"
        " with it.",
    )
    dead_letter_retention_days: float = Field(
        90.0,
        gt=0,
        description="Days for which dead letters are kept that neither success nor a newer"
        " revision has resolved.",
    )
    audit_retention_days: float = Field(
        400.0,
        gt=0,
        description="Days for which usage, audit, and who saw what are kept of tenants that say"
        " nothing of their own.",
    )
    deleted_retention_hours: float = Field(
        20.0,
        gt=0,
        description="Hours for which a deleted document can be restored; then its files, texts and"
        " attributes are erased, within the next hour.",
    )
    blob_check_megabytes: int = Field(
        256,
        ge=0,
        description="Megabytes of stored files that are read and compared with their digests each"
        " hour; the next hour goes on from there. 0 only looks whether they are there.",
    )

    def reconciler_limits(self) -> ReconcilerLimits:
        """What of it the reconciler keeps to."""
        return ReconcilerLimits(
            read_after_seconds=_HOUR_SECONDS / 2,
            checked_bytes=self.blob_check_megabytes * MEBIBYTE,
            deleted_seconds=self.deleted_retention_hours * _HOUR_SECONDS,
            job_seconds=self.job_retention_days * _DAY_SECONDS,
            dead_letter_seconds=self.dead_letter_retention_days * _DAY_SECONDS,
            record_days=self.audit_retention_days,
        )

    def following(self, file_bytes: int) -> IndexingSettings:
        """The same, with the size of the largest document from elsewhere unless it is set here."""
        if self.max_file_bytes is not None:
            return self
        return self.model_copy(update={"max_file_bytes": file_bytes})
