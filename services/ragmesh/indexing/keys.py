"""Use cases of API keys; secrets never come here, only their hashes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ragmesh.core.api_keys import KeyDigest
from ragmesh.core.callers import ADMIN, READ, WRITE, Caller, Machine
from ragmesh.core.clock import Clock
from ragmesh.core.errors import DeniedError, InvalidError, TenantNotFoundError
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.questions import refuse_controls
from ragmesh.core.tenants import ApiKey, KeyBatch, KeyChange, NewKey
from ragmesh.indexing.key_feed import KeyFeed
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.tenancy import administered_by

ROLES = (READ, WRITE, ADMIN)
"""What a key may be given, and each brings those before it."""
MOST_GROUPS = 100
MOST_CHARACTERS = 100
"""Of a group or subject; a hundred such groups fit into the token of a caller."""
MOST_REASON = 500
LONGEST_OVERLAP = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Keys:
    """What can be done with keys: an admin for the own tenant, who runs the mesh for every one."""

    catalog: Catalog
    feed: KeyFeed
    clock: Clock

    async def create(self, caller: Caller, new: NewKey, digest: KeyDigest) -> ApiKey:
        """Make the key of that digest."""
        await self._refuse_foreign(caller, new.tenant)
        _refuse_text(new.subject, field="subject")
        _refuse_groups(new.groups)
        _refuse_roles(new.roles)
        if new.expires_at is not None and new.expires_at <= self.clock.now():
            raise InvalidError.of("expires_at", "must lie in the future")
        made = await self.catalog.create_key(caller, new, digest)
        self.feed.wake()
        return made

    async def list(self, caller: Caller, tenant: str, page: PageRequest) -> Page[ApiKey]:
        """Keys in order of id; without a tenant those of all that the caller runs."""
        uid = administered_by(caller)
        if tenant:
            uid = await self._refuse_foreign(caller, tenant)
        listing = f"keys {uid}"
        rows = await self.catalog.list_keys(
            uid, after_key_id=key_of(listing, page.token), limit=page.rows + 1
        )
        return page_of(listing, page, rows, lambda key: key.key_id)

    async def update(self, caller: Caller, key_id: str, change: KeyChange) -> ApiKey:
        """Give the key other groups or roles."""
        uid = administered_by(caller)
        if change.groups is not None:
            _refuse_groups(change.groups)
        if change.roles is not None:
            _refuse_roles(change.roles)
        changed = await self.catalog.change_key(caller, uid, key_id, change)
        self.feed.wake()
        return changed

    async def revoke(self, caller: Caller, key_id: str, *, reason: str) -> ApiKey:
        """Refuse the key from now on."""
        uid = administered_by(caller)
        if len(reason) > MOST_REASON:
            raise InvalidError.of("reason", f"must have at most {MOST_REASON} characters")
        refuse_controls(reason, field="reason")
        revoked = await self.catalog.revoke_key(caller, uid, key_id, reason)
        self.feed.wake()
        return revoked

    async def rotate(
        self, caller: Caller, key_id: str, successor: KeyDigest, *, overlap_seconds: int
    ) -> ApiKey:
        """Make a key for the same user, and let the old one expire."""
        uid = administered_by(caller)
        most = int(LONGEST_OVERLAP.total_seconds())
        if not 0 <= overlap_seconds <= most:
            raise InvalidError.of("overlap_seconds", f"must lie in [0, {most}]")
        overlap = timedelta(seconds=overlap_seconds)
        made = await self.catalog.rotate_key(caller, uid, key_id, successor, overlap)
        self.feed.wake()
        return made

    def watch(self, caller: Caller) -> AsyncIterator[KeyBatch]:
        """Every key and tenant, then changes; for doors alone."""
        if not isinstance(caller, Machine):
            raise DeniedError("only services of the mesh follow keys")
        return self.feed.watch()

    async def _refuse_foreign(self, caller: Caller, tenant: str) -> str:
        """Uid of the tenant, unless the caller does not run it: then there is none."""
        own = administered_by(caller)
        found = await self.catalog.find_tenant(tenant)
        if found is None or own not in (None, found.uid):
            raise TenantNotFoundError(
                f"there is no tenant {tenant[:80]!r}", metadata={"tenant": tenant[:80]}
            )
        return found.uid


def _refuse_groups(groups: Sequence[str]) -> None:
    if len(groups) > MOST_GROUPS:
        raise InvalidError.of("groups", f"must name at most {MOST_GROUPS} groups")
    for group in groups:
        _refuse_text(group, field="groups")


def _refuse_roles(roles: Sequence[str]) -> None:
    if not roles or not set(roles) <= set(ROLES):
        raise InvalidError.of("roles", f"must name one or more of {', '.join(ROLES)}")


def _refuse_text(text: str, *, field: str) -> None:
    if not 1 <= len(text) <= MOST_CHARACTERS:
        raise InvalidError.of(field, f"must have 1 to {MOST_CHARACTERS} characters")
    refuse_controls(text, field=field)
