"""Migrations and golden questions in memory, by the rules of the plan and its commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from ragmesh.core.callers import Caller
from ragmesh.core.errors import (
    CollectionKeptError,
    CollectionNotFoundError,
    GoldenQuestionsMissingError,
)
from ragmesh.core.ids import new_uid
from ragmesh.core.migrations import (
    CollectionRoute,
    EvaluationRecord,
    GateVerdict,
    GoldenQuestions,
    Hold,
    IndexChange,
    IndexEstimate,
    Migration,
    MigrationCommand,
    MigrationPhase,
    RouteBatch,
    RouteShare,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.quality import Quality
from ragmesh.evaluation.golden import read_golden
from ragmesh.indexing.dead_letters import refuse_others
from ragmesh.indexing.deeds import (
    commanded_migration,
    kept_golden,
    released_collection,
    wanted_index,
)
from ragmesh.indexing.migration_changes import GATE
from ragmesh.indexing.migration_commands import Order, commanded
from ragmesh.indexing.migration_state import BuildSpec, MigrationState, Observed, Role, Standing
from ragmesh.indexing.ownership import refuse_foreign, refuse_to_release, requester_of, uid_of
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.tenancy import subject_of, tenant_of
from ragmesh.testing.embedding import fake_fingerprint
from ragmesh.testing.indexing_jobs import FakeCollection
from ragmesh.testing.indexing_mending import FakeMending


class FakeChanging(FakeMending):
    """A migration stands where it was begun until a command moves it."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # as its parent takes them
        self._states: dict[tuple[str, str], MigrationState] = {}
        self._refused: set[tuple[str, str]] = set()
        self._golden: dict[tuple[str, str], GoldenQuestions] = {}
        self.evaluations: dict[tuple[str, str], tuple[EvaluationRecord, ...]] = {}
        self.qualities: dict[tuple[str, str], Quality] = {}
        """What a test says that was found on schedule."""
        self.verdicts: dict[tuple[str, str], GateVerdict] = {}
        """What a test says that the gate found."""

    def held_by_gate(self, key: tuple[str, str], reason: str, message: str) -> None:
        """Have the gate of a collection hold its migration as inconclusive."""
        state = self._state(key, self.collections[key])
        self._states[key] = replace(
            state,
            phase=MigrationPhase.EVALUATING,
            held=Hold(GATE, message, self.clock.now()),
            reason=reason,
            message=message,
        )
        self.verdicts[key] = GateVerdict.INCONCLUSIVE

    async def want_index(self, caller: Caller, collection: str, change: IndexChange) -> Migration:
        """Begin, if it is something else."""
        key, found = self._key(caller, collection)
        state = self._state(key, found)
        asks = change.requester or requester_of(caller)
        refuse_foreign(asks, state.requester, collection, CollectionKeptError)
        wanted = _spec(found, change)
        if wanted.digest != state.wanted.digest:
            state = replace(state, phase=MigrationPhase.PROVISIONING, started_at=self.clock.now())
        self._states[key] = replace(
            state,
            wanted=wanted,
            policy=change.policy or state.policy,
            requester=asks or state.requester,
        )
        self._audit(caller, wanted_index(collection, {"encoder": wanted.encoder}))
        return self._shown(key, found)

    async def release_collection(
        self, caller: Caller, collection: str, *, reason: str = ""
    ) -> None:
        """Let anybody change it."""
        key, found = self._key(caller, collection)
        state = self._state(key, found)
        if state.requester is None:
            return
        refuse_to_release(caller, state.requester, collection, CollectionKeptError)
        self._states[key] = replace(state, requester=None)
        self._audit(caller, released_collection(collection, uid_of(state.requester)), reason)

    async def estimate_index(
        self, caller: Caller, collection: str, change: IndexChange
    ) -> IndexEstimate:
        """As many documents as there are."""
        _, found = self._key(caller, collection)
        wanted = _spec(found, change)
        is_same = wanted.digest == _spec(found, IndexChange()).digest
        return IndexEstimate(
            index_version="" if is_same else f"v2-{wanted.digest[:8]}",
            encoder=wanted.encoder,
            chunking=wanted.chunking,
            language=wanted.language,
            documents=len(found.documents),
            chunks=0,
            vector_bytes=0,
            seconds=0.0,
            reason="NOTHING_TO_BUILD" if is_same else "",
        )

    async def get_migration(self, caller: Caller, collection: str) -> Migration:
        """Where it stands."""
        key, found = self._key(caller, collection)
        return self._shown(key, found)

    async def list_migrations(self, caller: Caller, page: PageRequest) -> Page[Migration]:
        """Those that were begun."""
        refuse_others(caller)
        tenant = tenant_of(caller)
        listing = f"migrations {tenant}"
        after = key_of(listing, page.token)
        keys = [key for key in sorted(self._states) if key[0] == tenant and key[1] > after]
        found = [self._shown(key, self.collections[key]) for key in keys]
        return page_of(listing, page, found, lambda migration: migration.collection)

    async def command_migration(
        self, caller: Caller, collection: str, command: MigrationCommand, *, reason: str
    ) -> Migration:
        """By the rules of the commands."""
        key, found = self._key(caller, collection)
        state = self._state(key, found)
        observed = Observed(state, self._versions(key, found), self.clock.now())
        order = Order(command, subject_of(caller), reason)
        self._states[key] = commanded(observed, order).state
        self._audit(caller, commanded_migration(collection, command.value, state.phase.value))
        return self._shown(key, found)

    async def set_golden_questions(
        self, caller: Caller, collection: str, content: str
    ) -> GoldenQuestions:
        """Keep them."""
        key, _ = self._key(caller, collection)
        self._refuse_kept(caller, collection)
        golden = read_golden(content.encode())
        kept = GoldenQuestions(content, golden.digest, len(golden.questions), self.clock.now())
        self._golden[key] = kept
        self._audit(caller, kept_golden(collection, kept.questions, kept.digest))
        return kept

    async def get_golden_questions(self, caller: Caller, collection: str) -> GoldenQuestions:
        """What is kept."""
        key, _ = self._key(caller, collection)
        if key not in self._golden:
            raise GoldenQuestionsMissingError(f"{collection} keeps no golden questions")
        return self._golden[key]

    async def list_evaluations(
        self, caller: Caller, collection: str, page: PageRequest
    ) -> Page[EvaluationRecord]:
        """What a test has put there."""
        key, _ = self._key(caller, collection)
        listing = f"evaluations {key}"
        before = key_of(listing, page.token)
        found = [
            one for one in self.evaluations.get(key, ()) if not before or one.evaluation_id < before
        ]
        return page_of(listing, page, found, lambda record: record.evaluation_id)

    async def watch_routes(self, caller: Caller) -> AsyncIterator[RouteBatch]:
        """Every route as it is now."""
        routes = tuple(
            CollectionRoute(
                tenant,
                found.shown.uid,
                name,
                (RouteShare(found.index_version_uid, found.shown.index_version, 100),),
                epoch=1,
            )
            for (tenant, name), found in self.collections.items()
        )
        yield RouteBatch(routes, caught_up=True)

    def _key(self, caller: Caller, name: str) -> tuple[tuple[str, str], FakeCollection]:
        self._fail()
        refuse_others(caller)
        key = (tenant_of(caller), name)
        if key not in self.collections:
            raise CollectionNotFoundError(f"there is no collection {name}")
        return key, self.collections[key]

    def _refuse_kept(self, caller: Caller, name: str) -> None:
        state = self._states.get((tenant_of(caller), name))
        if state is not None:
            refuse_foreign(requester_of(caller), state.requester, name, CollectionKeptError)

    def _state(self, key: tuple[str, str], found: FakeCollection) -> MigrationState:
        return self._states.get(key) or MigrationState(found.shown.uid, _spec(found, IndexChange()))

    def _versions(self, key: tuple[str, str], found: FakeCollection) -> tuple[Standing, ...]:
        primary = Standing(
            "primary",
            found.shown.index_version,
            _spec(found, IndexChange()).digest,
            Role.PRIMARY,
            made=True,
            weight=100,
        )
        state = self._state(key, found)
        if state.phase.rests:
            return (primary,)
        name = f"v2-{state.wanted.digest[:8]}"
        return (
            primary,
            Standing("candidate", name, state.wanted.digest, Role.CANDIDATE, made=True),
        )

    def _shown(self, key: tuple[str, str], found: FakeCollection) -> Migration:
        state, versions = self._state(key, found), self._versions(key, found)
        return Migration(
            collection=key[1],
            phase=state.phase,
            serving=found.shown.index_version,
            candidate=versions[-1].name if len(versions) > 1 else "",
            retained="",
            route_epoch=1,
            shares=(RouteShare(new_uid(), found.shown.index_version, 100),),
            percent=100,
            reason=state.reason,
            message=state.message,
            held=state.held,
            started_at=state.started_at,
            encoder=state.wanted.encoder,
            chunking=state.wanted.chunking,
            language=state.wanted.language,
            verdict=self.verdicts.get(key),
            quality=self.qualities.get(key),
            kept_by=uid_of(state.requester),
            policy=state.policy,
        )


def _spec(found: FakeCollection, change: IndexChange) -> BuildSpec:
    shown = found.shown
    encoder = change.encoder or shown.encoder
    return BuildSpec(
        encoder,
        fake_fingerprint(encoder),
        change.chunking or shown.chunking,
        change.language or shown.language,
    )
