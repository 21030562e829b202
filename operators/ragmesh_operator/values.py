"""What is wanted and what was seen, as plans read them: frozen values, no technology."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from ragmesh.core.callers import Requester
from ragmesh.core.documents import Collection
from ragmesh.core.errors import InvalidError
from ragmesh.core.migrations import Migration, MigrationPolicy
from ragmesh_operator.resources import CollectionSpec, Part, TenantSpec
from ragmesh_operator.schemas import COLLECTION, TENANT
from ragmesh_operator.statuses import CollectionStatus, TenantStatus

SpecT = TypeVar("SpecT", bound=Part)
StatusT = TypeVar("StatusT", bound=Part)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Names a resource."""

    plural: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who keeps a collection: a resource and where it is, as one word that the mesh is told.

    A uid alone says nothing of whose it is: an operator that did not find it among its own would
    take what a resource of another cluster keeps for left behind.
    """

    uid: str
    cluster: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.uid}@{self.cluster}/{self.namespace}"

    @classmethod
    def parse(cls, text: str) -> Keeper:
        """Of one that says not where it is, the namespace is empty: it is nobody's."""
        uid, _, place = text.partition("@")
        cluster, _, namespace = place.rpartition("/")
        return cls(uid, cluster, namespace)


@dataclass(frozen=True, slots=True)
class Resource(Generic[SpecT, StatusT]):
    """A custom resource as it was last read."""

    key: Key
    uid: str
    generation: int
    resource_version: str
    spec: SpecT
    status: StatusT
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    deleted_at: datetime | None = None
    """When somebody asked for its end."""
    cluster: str = ""
    """That it is of."""

    @property
    def requester(self) -> Requester:
        """How the mesh knows it."""
        return Requester(str(Keeper(self.uid, self.cluster, self.key.namespace)), self.generation)

    def asks_as(self, other: Resource[SpecT, StatusT]) -> bool:
        """Whether it differs in nothing but its status, which asks for nothing."""
        return (
            (self.uid, self.generation, self.deleted_at)
            == (other.uid, other.generation, other.deleted_at)
            and self.finalizers == other.finalizers
            and self.annotations == other.annotations
        )


_MOST_MISTAKES, _LONGEST_MISTAKES = 5, 900
CollectionResource = Resource[CollectionSpec, CollectionStatus]
TenantResource = Resource[TenantSpec, TenantStatus]


def collection_resource(body: Mapping[str, Any], cluster: str) -> CollectionResource:
    """A RAGCollection out of what the API server sent; InvalidError if it is not understood."""
    found = _resource(body, COLLECTION.plural, CollectionSpec, CollectionStatus)
    return replace(found, cluster=cluster)


def collection_status(body: Mapping[str, Any]) -> CollectionStatus:
    """What was told of a RAGCollection last, whether its spec is understood or not."""
    return _known_status(body, CollectionStatus)


def tenant_resource(body: Mapping[str, Any], cluster: str) -> TenantResource:
    """A RAGTenant out of what the API server sent; InvalidError if it is not understood."""
    return replace(_resource(body, TENANT.plural, TenantSpec, TenantStatus), cluster=cluster)


def tenant_status(body: Mapping[str, Any]) -> TenantStatus:
    """What was told of a RAGTenant last, whether its spec is understood or not."""
    return _known_status(body, TenantStatus)


def _known_status(body: Mapping[str, Any], status: type[StatusT]) -> StatusT:
    try:
        return status.model_validate(body.get("status") or {})
    except ValidationError:  # of another version of the operator; it is derived anew anyway
        return status()


def _mistakes(error: ValidationError) -> str:
    """What is wrong, field by field; of many the first ones, since it goes into an event."""
    found = [
        f"{'.'.join(str(part) for part in one['loc'])}: {one['msg'].lower()}"
        for one in error.errors(include_url=False, include_input=False)
    ]
    return "; ".join(found[:_MOST_MISTAKES])[:_LONGEST_MISTAKES]


def _resource(
    body: Mapping[str, Any], plural: str, spec: type[SpecT], status: type[StatusT]
) -> Resource[SpecT, StatusT]:
    metadata = body["metadata"]
    deleted = metadata.get("deletionTimestamp")
    known = _known_status(body, status)
    try:
        asked = spec.model_validate(body["spec"])
    except ValidationError as error:  # the cluster has definitions of another version
        name, mistakes = metadata["name"], _mistakes(error)
        raise InvalidError(f"the spec of {name} is not understood: {mistakes}") from error
    return Resource(
        key=Key(plural, metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        spec=asked,
        status=known,
        annotations=dict(metadata.get("annotations") or {}),
        finalizers=tuple(metadata.get("finalizers") or ()),
        deleted_at=None if deleted is None else datetime.fromisoformat(deleted),
    )


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """Golden questions that a ConfigMap holds."""

    content: str
    digest: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a mesh has of a collection."""

    tenant_uid: str
    """Empty = there is no such tenant."""
    collection: Collection | None = None
    migration: Migration | None = None
    left: MigrationPolicy | None = None
    """A policy that is left to it for now although it was told another; see `Retelling`."""
    golden_digest: str = ""
    """Of the golden questions that it keeps; empty without any."""
    golden: GoldenSet | None = None
    """Those that it should keep; None = whatever it has."""
    golden_missing: bool = False
    """Whether the ConfigMap or its key is not there."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look came to, for whoever plans the next."""

    is_moving: bool = False
    """Whether something goes on that should be followed closely."""
    is_gone: bool = False
    """Whether there is nothing to look at any more."""
