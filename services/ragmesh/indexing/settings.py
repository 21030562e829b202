"""Settings of indexing."""

from __future__ import annotations

from pydantic import Field

from ragmesh.chassis.settings import Section
from ragmesh.core.reading import Sandbox

MEBIBYTE = 1024 * 1024


class IndexingSettings(Section):
    """What indexing takes in at most and how its catalog is held."""

    max_file_bytes: int = Field(
        10 * MEBIBYTE,
        gt=0,
        le=32 * MEBIBYTE,
        description="Largest document that is accepted; the doors refuse it by their own limit"
        " (gateway.file_megabytes) earlier.",
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
        1.0,
        gt=0,
        le=30,
        description="Longest time in seconds that a publication waits for its followers.",
    )
    job_reread_seconds: float = Field(
        5.0, gt=0, le=60, description="Seconds after which a watched job is read again anyway."
    )
    route_fresh_seconds: float = Field(
        5.0, gt=0, le=600, description="Seconds for which a collection's route is remembered."
    )
    documents_in_flight: int = Field(
        4, gt=0, le=64, description="Documents that an indexer works on at the same time."
    )
