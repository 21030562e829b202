"""Bodies of requests about collections and their indexes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ragmesh.core.documents import Chunking, CollectionChange, DefaultAccess, NewCollection
from ragmesh.core.migrations import (
    Approval,
    CanaryStep,
    IndexChange,
    MetricBound,
    MigrationPolicy,
    OnFailure,
)
from ragmesh.core.names import collection_name
from ragmesh.gateway.adapters.rest.bodies import Body, example, given_fields
from ragmesh.gateway.adapters.rest.shapes import (
    COLLECTION_NAME,
    COUNT,
    DESCRIPTION,
    LANGUAGE,
    SORTABLE,
)
from ragmesh.gateway.parsing import parse_sortable


class ChunkingBody(Body):
    """How documents are split."""

    max_tokens: int = Field(
        0,
        description="Most tokens of a chunk; 0 for what the encoder's window holds, 512 at most.",
        json_schema_extra=COUNT,
    )
    overlap_tokens: int = Field(
        0, description="Tokens that neighbouring chunks share.", json_schema_extra=COUNT
    )

    def chunking(self) -> Chunking:
        """The chunking as the catalog takes it."""
        return Chunking(self.max_tokens, self.overlap_tokens)


class CanaryStepBody(Body):
    """A share of the questions, and for how long the new index gets it."""

    weight: int = Field(ge=1, le=100, description="In percent.", examples=[10])
    hold_seconds: float = Field(300.0, ge=0, description="For how long.", examples=[300.0])


class MetricBoundBody(Body):
    """How much worse one metric of the golden questions may be."""

    metric: Literal["recall", "ndcg", "mrr"] = Field(description="Which one.", examples=["recall"])
    max_regression: float = Field(ge=0, le=1, description="The bound.", examples=[0.01])


class MigrationPolicyBody(Body):
    """How carefully an index is changed."""

    canary: list[CanaryStepBody] = Field(
        [CanaryStepBody(weight=10), CanaryStepBody(weight=50)],
        max_length=20,
        description="Growing shares of the questions before it gets all.",
    )
    approval: Literal["automatic", "manual"] = Field(
        "automatic", description="Whether somebody must approve an index that passed the gate."
    )
    soak_seconds: float = Field(
        3_600.0, ge=0, description="How long the old index is still written, for a rollback."
    )
    retain_seconds: float = Field(0.0, ge=0, description="How much longer, after that.")
    on_failure: Literal["rollback", "hold"] = Field(
        "rollback", description="What becomes of a new index that fails while it answers."
    )
    max_regression: float = Field(
        0.02,
        ge=0,
        le=1,
        description="How much worse a metric of the golden questions may be that has no bound of "
        "its own.",
    )
    max_regressions: list[MetricBoundBody] = Field(
        [], max_length=3, description="Bounds of single metrics, each at most once."
    )
    min_questions: int = Field(
        20, ge=1, description="Golden questions without which nothing is decided."
    )

    def policy(self) -> MigrationPolicy:
        """The policy as the catalog takes it."""
        return MigrationPolicy(
            canary=tuple(CanaryStep(one.weight, one.hold_seconds) for one in self.canary),
            approval=Approval(self.approval),
            soak_seconds=self.soak_seconds,
            retain_seconds=self.retain_seconds,
            on_failure=OnFailure(self.on_failure),
            max_regression=self.max_regression,
            max_regressions=tuple(
                MetricBound(one.metric, one.max_regression) for one in self.max_regressions
            ),
            min_questions=self.min_questions,
        )


class CollectionBody(Body):
    """A collection to make."""

    model_config = example(
        name="handbook", description="What every colleague should know", language="en"
    )

    name: str = Field(
        description="Name: `[a-z][a-z0-9-]{0,62}`.", json_schema_extra=COLLECTION_NAME
    )
    description: str = Field(
        "", description="What it holds, for people.", json_schema_extra=DESCRIPTION
    )
    language: str = Field(
        "",
        description="Language of its documents, such as `en` or `de`.",
        json_schema_extra=LANGUAGE,
    )
    encoder: str = Field("", description="Name of the encoder; empty for the server's default.")
    chunking: ChunkingBody = Field(ChunkingBody(), description="How documents are split.")
    default_access: Literal["open", "restricted"] = Field(
        "open", description="Who may see documents without access of their own."
    )
    sortable: dict[str, str] = Field(
        {},
        description="Metadata fields that ranges work on: `number` or `datetime` by name.",
        json_schema_extra=SORTABLE,
    )

    def new_collection(self) -> NewCollection:
        """The collection as the catalog takes it."""
        return NewCollection(
            name=collection_name(self.name, field="name"),
            description=self.description,
            language=self.language,
            encoder=self.encoder,
            chunking=self.chunking.chunking(),
            default_access=DefaultAccess(self.default_access),
            sortable=parse_sortable(self.sortable),
        )


class CollectionPatch(Body):
    """A change of a collection; what is missing stays."""

    model_config = example(least=1, description="What every colleague should know")

    description: str = Field("", description="New description.", json_schema_extra=DESCRIPTION)
    default_access: Literal["open", "restricted"] = Field("open", description="New default.")
    encoder: str = Field(
        "", description="Encoder that its index is wanted to have; another one begins a migration."
    )
    chunking: ChunkingBody = Field(
        ChunkingBody(), description="How documents are wanted to be split; so does this."
    )
    language: str = Field(
        "", description="Language that is wanted of its index.", json_schema_extra=LANGUAGE
    )
    migration: MigrationPolicyBody = Field(
        MigrationPolicyBody(), description="How carefully its index is changed."
    )

    def index_change(self) -> IndexChange | None:
        """What of its index changes; None when nothing is said about it."""
        given = given_fields(self)
        if not {"encoder", "chunking", "language", "migration"} & given:
            return None
        return IndexChange(
            encoder=self.encoder if "encoder" in given else None,
            chunking=self.chunking.chunking() if "chunking" in given else None,
            language=self.language if "language" in given else None,
            policy=self.migration.policy() if "migration" in given else None,
        )

    def change(self) -> CollectionChange:
        """The change as the catalog takes it."""
        given = given_fields(self)
        return CollectionChange(
            description=self.description if "description" in given else None,
            default_access=(
                DefaultAccess(self.default_access) if "default_access" in given else None
            ),
        )
