"""Settings of indexing."""

from __future__ import annotations

from pydantic import Field

from ragmesh.chassis.settings import Section
from ragmesh.core.migrations import MigrationPolicy, parse_canary
from ragmesh.core.reading import Sandbox
from ragmesh.indexing.migrating import MigrationLimits
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
    documents_in_flight: int | None = Field(
        None,
        gt=0,
        le=256,
        description="Documents that an indexer works on at the same time; by default 8, and 64 "
        "where Weaviate keeps the index: there most of them wait for a flush.",
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

    migration_documents_per_second: float = Field(
        50.0,
        gt=0,
        description="Documents a second at most that new index versions are filled with, all of"
        " them together, so that questions and uploads keep their place.",
    )
    migration_window_documents: int = Field(
        64,
        gt=0,
        le=1_024,
        description="Documents of one new index version that are worked on at the same time at"
        " most.",
    )
    migration_pause_seconds: float = Field(
        0.5, gt=0, le=60, description="Seconds between two looks at a migration under way."
    )
    migration_canary: tuple[str, ...] = Field(
        ("10:300", "50:300"),
        description="Shares of the questions in percent that a new index version gets before it"
        " gets all, each with the seconds for which it is held, of whoever says nothing else.",
    )
    migration_soak_seconds: float = Field(
        3_600.0,
        ge=0,
        description="Seconds for which the version before is still written after a promotion, so"
        " that a rollback loses nothing, of whoever says nothing else.",
    )
    migration_min_questions: int = Field(
        20,
        gt=0,
        description="Golden questions without which the gate of a migration decides nothing, of"
        " whoever says nothing else.",
    )
    evaluation_hours: float = Field(
        24.0,
        ge=0,
        description="Hours from one evaluation of an index version that serves to the next, by the"
        " golden questions that its collection keeps; new questions and new versions are evaluated"
        " at once. 0 makes none.",
    )
    evaluation_questions_per_second: float = Field(
        5.0,
        gt=0,
        le=1_000,
        description="Golden questions a second at most that are asked on schedule.",
    )
    route_lease_seconds: float = Field(
        600.0,
        ge=600,
        description="Seconds after its last question before which no index version leaves the"
        " store: gateways send questions for up to 600 by routes that they cannot renew.",
    )

    def migration_limits(self) -> MigrationLimits:
        """What of it migrations keep to."""
        return MigrationLimits(
            documents_per_second=self.migration_documents_per_second,
            window_documents=self.migration_window_documents,
            pause_seconds=self.migration_pause_seconds,
            lease_seconds=self.route_lease_seconds,
        )

    def migration_policy(self) -> MigrationPolicy:
        """How carefully an index is changed when nobody says otherwise."""
        return MigrationPolicy(
            canary=parse_canary(self.migration_canary),
            soak_seconds=self.migration_soak_seconds,
            min_questions=self.migration_min_questions,
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
