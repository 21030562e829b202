"""What the audit says about each kind of mutation: paths of names, numbers, and no content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Protocol

from ragmesh.core.callers import Access
from ragmesh.core.documents import CollectionChange, NewCollection
from ragmesh.core.metadata import Metadata
from ragmesh.core.tenants import ApiKey, TenantChange


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody does to one thing."""

    action: str
    """Name of the method."""
    resource: str
    """A path of names."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Numbers, names of what changed, groups of an access; never content. Empty ones go."""


class Attributed(Protocol):
    """A state of a document; satisfied by its row, and by what is about to be saved."""

    @property
    def document_id(self) -> str:
        """Its id."""

    @property
    def revision(self) -> int:
        """From 1."""

    @property
    def title(self) -> str:
        """As its sender gave it."""

    @property
    def metadata(self) -> Metadata:
        """As its sender gave it."""

    @property
    def access(self) -> Access | None:
        """None = the collection's default."""


def collection_path(name: str) -> str:
    """The collection as a resource."""
    return f"collections/{name}"


def document_path(collection: str, document_id: str) -> str:
    """The document as a resource."""
    return f"{collection_path(collection)}/documents/{document_id}"


def created_collection(new: NewCollection) -> Deed:
    """A collection was made."""
    details = {"default_access": new.default_access.value}
    return Deed("CreateCollection", collection_path(new.name), details)


def changed_collection(name: str, change: CollectionChange) -> Deed:
    """A collection was changed."""
    access = change.default_access
    details = {
        "changed": "" if change.description is None else "description",
        "default_access": "" if access is None else access.value,
    }
    return Deed("UpdateCollection", collection_path(name), details)


def deleted_collection(name: str) -> Deed:
    """A collection was deleted."""
    return Deed("DeleteCollection", collection_path(name))


def created_tenant(name: str) -> Deed:
    """A tenant was made."""
    return Deed("CreateTenant", f"tenants/{name}")


def changed_tenant(name: str, change: TenantChange) -> Deed:
    """A tenant was changed."""
    said = [one.name for one in fields(change) if getattr(change, one.name) is not None]
    names = [one for one in said if one != "of_revision"]
    return Deed("UpdateTenant", f"tenants/{name}", {"changed": ",".join(sorted(names))})


def deleted_tenant(name: str) -> Deed:
    """A tenant was deleted with all it owned."""
    return Deed("DeleteTenant", f"tenants/{name}")


def released_tenant(name: str, kept_by: str) -> Deed:
    """The custom resource that kept a tenant does so no longer."""
    return Deed("ReleaseTenant", f"tenants/{name}", {"kept_by": kept_by})


def created_key(key: ApiKey) -> Deed:
    """A key was made."""
    return Deed("CreateKey", f"keys/{key.key_id}", _rights(key))


def changed_key(key: ApiKey) -> Deed:
    """A key was given these groups and roles."""
    return Deed("UpdateKey", f"keys/{key.key_id}", _rights(key))


def revoked_key(key: ApiKey) -> Deed:
    """A key was revoked."""
    return Deed("RevokeKey", f"keys/{key.key_id}", {"subject": key.subject})


def rotated_key(key_id: str, successor: ApiKey) -> Deed:
    """A key was given a successor."""
    return Deed("RotateKey", f"keys/{key_id}", {"successor": successor.key_id})


def repaired_collection(name: str) -> Deed:
    """A collection was compared with its index, and mended."""
    return Deed("RepairCollection", collection_path(name))


def wanted_index(name: str, details: Mapping[str, str]) -> Deed:
    """Another index is wanted for a collection."""
    return Deed("SetIndexSpec", collection_path(name), details)


def released_collection(name: str, kept_by: str) -> Deed:
    """The custom resource that kept a collection does so no longer."""
    return Deed("ReleaseCollection", collection_path(name), {"kept_by": kept_by})


def commanded_migration(name: str, command: str, phase: str) -> Deed:
    """Somebody told a migration what to do."""
    return Deed("CommandMigration", collection_path(name), {"command": command, "phase": phase})


def kept_golden(name: str, questions: int, digest: str) -> Deed:
    """A collection was given golden questions."""
    details = {"questions": str(questions), "digest": digest}
    return Deed("SetGoldenQuestions", collection_path(name), details)


def uploaded_document(collection: str, after: Attributed, before: Attributed | None) -> Deed:
    """A document was uploaded, the first time or anew."""
    return _changed("CreateDocument", collection, after, before)


def changed_document(collection: str, after: Attributed, before: Attributed) -> Deed:
    """Attributes of a document were changed."""
    return _changed("UpdateDocument", collection, after, before)


def deleted_document(collection: str, after: Attributed) -> Deed:
    """A document was deleted."""
    path = document_path(collection, after.document_id)
    return Deed("DeleteDocument", path, {"revision": str(after.revision)})


def restored_revision(collection: str, after: Attributed, restored: int) -> Deed:
    """An earlier content was made the newest revision."""
    details = {"revision": str(after.revision), "restored": str(restored)}
    return Deed("RestoreRevision", document_path(collection, after.document_id), details)


def cancelled_job(collection: str, document_id: str, job_id: str) -> Deed:
    """The job of a document was cancelled."""
    return Deed("CancelJob", document_path(collection, document_id), {"job_id": job_id})


def replayed_letter(collection: str, document_id: str, dead_letter_id: str) -> Deed:
    """Given-up work is tried again: of a document, or of an event that names none."""
    path = f"dead-letters/{dead_letter_id}"
    if collection and document_id:
        path = document_path(collection, document_id)
    return Deed("ReplayDeadLetters", path, {"dead_letter_id": dead_letter_id})


def _rights(key: ApiKey) -> dict[str, str]:
    rights = {"groups": ",".join(key.groups), "roles": ",".join(key.roles)}
    return {"subject": key.subject} | rights


def _changed(action: str, collection: str, after: Attributed, before: Attributed | None) -> Deed:
    changed = [] if before is None else _differences(after, before)
    has_access = "access" in changed or (before is None and after.access is not None)
    details = {
        "revision": str(after.revision),
        "changed": ",".join(changed),
        "access": _access_text(after.access) if has_access else "",
    }
    return Deed(action, document_path(collection, after.document_id), details)


def _differences(after: Attributed, before: Attributed) -> list[str]:
    pairs = {
        "access": (after.access, before.access),
        "metadata": (after.metadata, before.metadata),
        "title": (after.title, before.title),
    }
    return [name for name, (new, old) in pairs.items() if new != old]


def _access_text(access: Access | None) -> str:
    """Who may see a document, in words or as names of groups."""
    if access is None:
        return "collection default"
    if access.groups is None:
        return "open"
    return ",".join(access.groups) or "admins only"
