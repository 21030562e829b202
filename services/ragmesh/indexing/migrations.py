"""Use cases of changing an index: say what it should be, see how far it is, tell it what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol

from ragmesh.core.callers import Caller, Machine
from ragmesh.core.clock import Clock
from ragmesh.core.documents import Chunking
from ragmesh.core.errors import (
    CollectionKeptError,
    DeniedError,
    MigrationChangedError,
)
from ragmesh.core.migrations import (
    IndexChange,
    IndexEstimate,
    Migration,
    MigrationCommand,
    MigrationPolicy,
    RouteBatch,
    RouteShare,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.vectors import EncoderDescription, Fingerprint, SentenceKind
from ragmesh.indexing.collections import Collections
from ragmesh.indexing.dead_letters import refuse_others
from ragmesh.indexing.deeds import commanded_migration, released_collection, wanted_index
from ragmesh.indexing.migration import SPEC_REFUSED, foreseen
from ragmesh.indexing.migration_commands import Order, commanded
from ragmesh.indexing.migration_state import (
    BuildSpec,
    Change,
    MigrationState,
    Observed,
    policy_of,
)
from ragmesh.indexing.migration_stores import Cause, Changing
from ragmesh.indexing.ownership import refuse_foreign, refuse_to_release, requester_of, uid_of
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.route_feed import RouteFeed
from ragmesh.indexing.sizing import TokenSample, price_of
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.tenancy import administered_by, subject_of
from ragmesh.indexing.validation import refuse_chunking, refuse_language, refuse_reason

NOTHING_TO_BUILD = "NOTHING_TO_BUILD"
_TRIES = 5
"""How often a change is made anew because the migration moved on meanwhile."""
_SENTENCES_A_CHUNK = 8
_FLOAT_BYTES = 4


class Runner(Protocol):
    """What carries migrations out."""

    async def observe(self, changing: Changing) -> Observed:
        """The migration as a plan needs it."""

    def tell(self, changing: Changing, change: Change) -> None:
        """It was changed by somebody: routers hear of it, and it goes on at once."""

    def wake(self) -> None:
        """Look at once: somebody wants something."""


@dataclass(frozen=True, slots=True)
class Migrations:
    """What can be done with the index of a collection."""

    catalog: Catalog
    collections: Collections
    migrator: Runner
    feed: RouteFeed
    clock: Clock
    policy: MigrationPolicy
    """Of whoever says nothing of their own."""
    documents_per_second: float
    sample: TokenSample

    async def want(self, caller: Caller, name: str, change: IndexChange) -> Migration:
        """Keep what the index should be; a migration begins if it is something else."""
        change = replace(change, requester=change.requester or requester_of(caller))
        changing = await self._changing(caller, name)
        for _ in range(_TRIES):
            refuse_foreign(change.requester, changing.state.requester, name, CollectionKeptError)
            spec, _ = await self._spec(changing, change)
            wanted = _wanting(changing.state, spec, self._policy(changing, change), change)
            if wanted == changing.state and wanted.version:
                return await self._shown(changing)
            cause = Cause(caller, wanted_index(name, _details(spec)))
            if await self.catalog.want(wanted, cause):
                self.migrator.wake()
                return await self.get(caller, name)
            changing = await self._changing(caller, name)
        raise _moved_on()

    async def release(self, caller: Caller, name: str, *, reason: str = "") -> None:
        """Let anybody change the collection again; the resource that kept it says so, or people."""
        refuse_reason(reason)
        for _ in range(_TRIES):
            changing = await self._changing(caller, name)
            state = changing.state
            if state.requester is None:
                return
            refuse_to_release(caller, state.requester, name, CollectionKeptError)
            deed = released_collection(name, uid_of(state.requester))
            cause = Cause(caller, deed, reason)
            if await self.catalog.want(replace(state, requester=None), cause):
                return
        raise _moved_on()

    async def estimate(self, caller: Caller, name: str, change: IndexChange) -> IndexEstimate:
        """What the change would build, and what that takes; nothing is changed."""
        changing = await self._changing(caller, name)
        spec, encoder = await self._spec(changing, change)
        row = await self.collections.read(caller, name)
        counts = await self.catalog.count_documents(caller, row)
        reason = await self._refusal(changing, spec)
        tokens = None
        if not reason:
            tokens = await self.sample.tokens(changing.primary, counts.chunks, encoder)
        return IndexEstimate(
            index_version="" if reason else f"v{changing.next_number}-{spec.digest[:8]}",
            encoder=spec.encoder,
            chunking=spec.chunking,
            language=spec.language,
            documents=counts.documents,
            chunks=counts.chunks,
            vector_bytes=counts.chunks * _bytes_a_chunk(spec.fingerprint),
            seconds=counts.documents / self.documents_per_second,
            reason=reason,
            tokens=tokens,
            dollars=price_of(tokens, encoder),
        )

    async def get(self, caller: Caller, name: str) -> Migration:
        """Where the migration of a collection stands."""
        return await self._shown(await self._changing(caller, name))

    async def list(self, caller: Caller, page: PageRequest) -> Page[Migration]:
        """Those of collections whose index somebody wanted otherwise."""
        refuse_others(caller)
        tenant_uid = administered_by(caller)
        listing = f"migrations {tenant_uid}"
        rows = await self.catalog.list_changing(
            tenant_uid, after_uid=key_of(listing, page.token), limit=page.rows + 1
        )
        found = page_of(listing, page, rows, lambda changing: changing.collection_uid)
        shown = [await self._shown(changing) for changing in found.items]
        return Page(tuple(shown), found.next_token)

    async def command(
        self, caller: Caller, name: str, command: MigrationCommand, *, reason: str
    ) -> Migration:
        """Tell a migration what to do; MigrationCommandRefusedError when it may not."""
        refuse_reason(reason)
        order = Order(command, subject_of(caller), reason)
        for _ in range(_TRIES):
            changing = await self._changing(caller, name)
            observed = await self.migrator.observe(changing)
            change = commanded(observed, order)
            deed = commanded_migration(name, command.value, changing.state.phase.value)
            if await self.catalog.commit_change(change, Cause(caller, deed, reason)):
                self.migrator.tell(changing, change)
                return await self.get(caller, name)
        raise _moved_on()

    def watch_routes(self, caller: Caller) -> AsyncIterator[RouteBatch]:
        """Every route, then changes, for ever; an empty batch is a heartbeat."""
        if not isinstance(caller, Machine):
            raise DeniedError("only services of the mesh follow routes")
        return self.feed.watch()

    async def _changing(self, caller: Caller, name: str) -> Changing:
        refuse_others(caller)
        row = await self.collections.read(caller, name)
        found = await self.catalog.find_changing(row.uid)
        if found is None:
            await self.collections.read(caller, name)  # deleted meanwhile: says so
            raise _moved_on()
        return found

    async def _spec(
        self, changing: Changing, change: IndexChange
    ) -> tuple[BuildSpec, EncoderDescription]:
        """Everything decided, and its encoder: what is not said stays as it was wanted last."""
        wanted = changing.state.wanted
        encoder = await self.collections.encoder_of(change.encoder or wanted.encoder)
        chunking = change.chunking or wanted.chunking
        refuse_chunking(chunking, encoder)
        language = change.language or wanted.language
        refuse_language(language)
        return BuildSpec(encoder.name, encoder.fingerprint, chunking, language), encoder

    def _policy(self, changing: Changing, change: IndexChange) -> MigrationPolicy:
        if change.policy is not None:
            return change.policy
        return policy_of(changing.state, self.policy)

    async def _refusal(self, changing: Changing, spec: BuildSpec) -> str:
        if spec.digest == changing.primary.build.digest:
            return NOTHING_TO_BUILD
        is_refused = await self.catalog.is_refused(changing.collection_uid, spec.digest)
        return SPEC_REFUSED if is_refused else ""

    async def _shown(self, changing: Changing) -> Migration:
        uid, serving = changing.collection_uid, changing.primary.name
        quality = await self.catalog.find_quality(uid, serving)
        found = shown(changing, await self.migrator.observe(changing))
        return replace(found, quality=quality, policy=policy_of(changing.state, self.policy))


def _wanting(
    state: MigrationState, spec: BuildSpec, policy: MigrationPolicy, change: IndexChange
) -> MigrationState:
    """The state with the new wish; who asks for something else also ends a hold.

    Nor are they told at rest what became of the wish before.
    """
    wanting = replace(
        state, wanted=spec, policy=policy, requester=change.requester or state.requester
    )
    if spec.digest == state.wanted.digest:
        return wanting
    wanting = replace(wanting, held=None)
    return replace(wanting, reason="", message="") if state.phase.rests else wanting


def _details(spec: BuildSpec) -> dict[str, str]:
    return {
        "encoder": spec.encoder,
        "language": spec.language,
        "max_tokens": str(spec.chunking.max_tokens),
        "overlap_tokens": str(spec.chunking.overlap_tokens),
    }


def shown(changing: Changing, observed: Observed) -> Migration:
    """The migration as the doors show it."""
    names = {one.version.uid: one.version for one in changing.versions}
    state = foreseen(observed)
    candidate, retained = observed.candidate, observed.retained
    follower = candidate or retained
    progress = None if follower is None else observed.progress_of(follower)
    return Migration(
        collection=changing.collection,
        phase=state.phase,
        serving=changing.primary.name,
        candidate="" if candidate is None else candidate.name,
        retained="" if retained is None else retained.name,
        route_epoch=changing.epoch,
        shares=tuple(
            RouteShare(one.uid, one.name, one.weight, names[one.uid].encoder)
            for one in observed.versions
            if one.weight
        ),
        percent=100 if progress is None else progress.percent,
        documents=0 if progress is None else progress.documents,
        failed_documents=0 if progress is None else progress.failed,
        reason=state.reason or ("" if progress is None else progress.trouble),
        message=state.message,
        held=state.held,
        verdicts=state.verdicts,
        slice_verdicts=state.slice_verdicts,
        verdict=state.verdict,
        flips=state.flips,
        started_at=state.started_at,
        phase_at=state.phase_at,
        encoder=state.wanted.encoder,
        chunking=Chunking(state.wanted.chunking.max_tokens, state.wanted.chunking.overlap_tokens),
        language=state.wanted.language,
        kept_by=uid_of(state.requester),
    )


def _bytes_a_chunk(fingerprint: Fingerprint) -> int:
    sentences = 0 if fingerprint.sentences is SentenceKind.NONE else _SENTENCES_A_CHUNK
    return fingerprint.dimension * (_FLOAT_BYTES + sentences)


def _moved_on() -> MigrationChangedError:
    return MigrationChangedError(
        "the migration moved on meanwhile; look at it again", retry_after_seconds=0.5
    )
