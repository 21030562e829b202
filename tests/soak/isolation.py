"""Random users, filters, cache states and changes, against a model of who may see what."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.service import CacheService
from ragmesh.cache.settings import CacheSettings
from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.answers import CacheMode
from ragmesh.core.callers import ADMIN, Access, Principal
from ragmesh.core.documents import DocumentChange, DocumentState, NewCollection, Upload, accepted_of
from ragmesh.core.errors import DocumentNotFoundError, RagmeshError
from ragmesh.core.filters import Eq, Filter, In, Not
from ragmesh.core.metadata import Metadata
from ragmesh.core.pages import PageRequest
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchMode, SearchQuery
from ragmesh.gateway.limiting.gate import Gate
from ragmesh.gateway.limiting.quotas import EqualQuotas
from ragmesh.gateway.parsing import parse_ask
from ragmesh.gateway.routes import KnownRoutes
from ragmesh.gateway.service import GatewayService
from ragmesh.testing.generation import FakeGenerator
from tests.integration.indexing.running import Running, running

TENANTS = ("tenant-a", "tenant-b", "tenant-c")
GROUPS = ("red", "green")
LANGUAGES = ("en", "de")
IDS = tuple(f"paper-{number}" for number in range(8))
"""The same in every tenant: a name says nothing about whose it is."""
COLLECTION = "docs"
QUESTIONS = ("What is the word of the harbour?", "Which word opens the gate?", "the word")
PAGE = PageRequest(1_000)


@dataclass(frozen=True)
class Known:
    """A document as the model has it."""

    text: str
    access: Access
    language: str

    def admits(self, caller: Principal) -> bool:
        return self.access.admits(caller)


@dataclass
class Tally:
    """What was tried, and what was seen that nobody may see."""

    combinations: int = 0
    changes: int = 0
    cached: int = 0
    shown: int = 0
    hidden: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Programme:
    """A gateway on real services, and what each user must find in it."""

    gateway: GatewayService
    beneath: Running
    random: random.Random
    model: dict[str, dict[str, Known]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    revision: int = 0

    async def prepare(self) -> None:
        """A collection of the same name in every tenant, with documents of the same ids."""
        for tenant in TENANTS:
            self.model[tenant] = {}
            await self.gateway.catalog.create_collection(_admin(tenant), NewCollection(COLLECTION))
            for document_id in IDS[:5]:
                await self._upload(tenant, document_id)

    async def step(self) -> None:
        """One combination: perhaps a change, then one user who looks in one way."""
        if self.random.random() < 0.06:
            await self._change()
        caller, filter = self._caller(), self._filter()
        look = self.random.choice((self._search, self._ask, self._ask, self._list, self._get))
        try:
            await look(caller, filter)
        except RagmeshError as error:
            self._fault(f"{look.__name__} of {caller}: {error.reason}: {error.message}")
        self.tally.combinations += 1

    async def _change(self) -> None:
        tenant, document_id = self.random.choice(TENANTS), self.random.choice(IDS)
        known = self.model[tenant].get(document_id)
        self.tally.changes += 1
        choice = self.random.random()
        if known is None or choice < 0.5:
            await self._upload(tenant, document_id)
        elif choice < 0.8:
            access = self._access()
            change = DocumentChange(access=access)
            await self.gateway.catalog.update_document(
                _admin(tenant), COLLECTION, document_id, change
            )
            # A tighter access holds at once; a looser one once the store has it.
            self.model[tenant][document_id] = replace(known, access=access)
            await self._settle(tenant)
        else:
            await self.gateway.catalog.delete_document(_admin(tenant), COLLECTION, document_id)
            del self.model[tenant][document_id]

    async def _upload(self, tenant: str, document_id: str) -> None:
        self.revision += 1
        language, access = self.random.choice(LANGUAGES), self._access()
        text = f"The word of the harbour that opens the gate is {_word(tenant, self.revision)}."
        upload = Upload(
            text.encode(),
            document_id,
            metadata=Metadata(json.dumps({"lang": language})),
            access=access,
        )
        outcomes = await self.gateway.catalog.create_documents(_admin(tenant), COLLECTION, [upload])
        accepted = accepted_of(outcomes[0])
        async for _ in self.gateway.catalog.watch_job(_admin(tenant), accepted.job_id):
            pass
        self.model[tenant][document_id] = Known(text, access, language)

    async def _settle(self, tenant: str) -> None:
        """Wait until every job of the tenant has ended."""
        page = await self.gateway.catalog.list_jobs(_admin(tenant), state=None, page=PAGE)
        for job in page.items[:8]:
            if not job.state.ended:
                async for _ in self.gateway.catalog.watch_job(_admin(tenant), job.job_id):
                    pass

    async def _search(self, caller: Principal, filter: Filter | None) -> None:
        query = SearchQuery(
            COLLECTION,
            Question.parse(self.random.choice(QUESTIONS)),
            limit=10,
            mode=self.random.choice(tuple(SearchMode)),
            filter=filter,
        )
        result = await self.gateway.search(caller, query)
        for hit in result.hits:
            self._seen(caller, filter, hit.document_id, hit.text)

    async def _ask(self, caller: Principal, filter: Filter | None) -> None:
        mode = self.random.choice((CacheMode.USE, CacheMode.USE, CacheMode.REFRESH))
        query = parse_ask(COLLECTION, QUESTIONS[0], filter=filter, cache=mode)
        answer = await self.gateway.ask(caller, query, request_id="r")
        self.tally.cached += answer.cached
        for citation in answer.citations:
            self._seen(caller, filter, citation.document_id, citation.quote)
        for word in _words_in(answer.answer):
            if not any(word in known.text for known in self._visible(caller, filter).values()):
                self._fault(f"{caller} was told {word}")

    async def _list(self, caller: Principal, filter: Filter | None) -> None:
        page = await self.gateway.catalog.list_documents(
            caller, COLLECTION, filter=filter, page=PAGE
        )
        alive = [one for one in page.items if one.state is not DocumentState.DELETING]
        self._equal(caller, "list", {one.document_id for one in alive}, filter)
        collection = await self.gateway.catalog.get_collection(caller, COLLECTION)
        if collection.documents != len(self._visible(caller, None)):
            self._fault(f"{caller} counts {collection.documents} documents")
        jobs = await self.gateway.catalog.list_jobs(caller, state=None, page=PAGE)
        seen = {job.document_id for job in jobs.items}
        for document_id in seen & set(self.model[caller.tenant_uid]):
            if not self.model[caller.tenant_uid][document_id].admits(caller):
                self._fault(f"{caller} sees a job of {document_id}")

    async def _get(self, caller: Principal, _filter: Filter | None) -> None:
        document_id = self.random.choice((*IDS, "never"))
        known = self._visible(caller, None).get(document_id)
        refusals = set()
        catalog = self.gateway.catalog
        for read in (
            catalog.get_document(caller, COLLECTION, document_id),
            catalog.get_document_text(caller, COLLECTION, document_id, revision=None),
            catalog.list_revisions(caller, COLLECTION, document_id, PAGE),
        ):
            try:
                found: Any = await read
            except DocumentNotFoundError as error:
                refusals.add((type(error), error.message.replace(document_id, "…")))
                continue
            if known is None and document_id in self.model[caller.tenant_uid]:
                self._fault(f"{caller} gets {document_id}")
            if known is not None and getattr(found, "text", known.text) != known.text:
                self._fault(f"{caller} reads another text of {document_id}")
        if known is not None and refusals:
            self._fault(f"{caller} does not get {document_id}")
        if known is None and len(refusals) > 1:
            self._fault(f"{document_id} is refused in {len(refusals)} ways")

    def _seen(self, caller: Principal, filter: Filter | None, document_id: str, text: str) -> None:
        known = self._visible(caller, filter).get(document_id)
        self.tally.shown += 1
        if known is None or text not in known.text:
            self._fault(f"{caller} saw {document_id}: {text}")

    def _equal(self, caller: Principal, what: str, found: set[str], filter: Filter | None) -> None:
        wanted = set(self._visible(caller, filter))
        if found != wanted:
            self._fault(f"{what} of {caller}: {sorted(found ^ wanted)}")

    def _visible(self, caller: Principal, filter: Filter | None) -> dict[str, Known]:
        own = self.model[caller.tenant_uid]
        seen = {name: known for name, known in own.items() if known.admits(caller)}
        self.tally.hidden += len(own) - len(seen)
        return {name: known for name, known in seen.items() if _fits(filter, known)}

    def _fault(self, text: str) -> None:
        self.tally.faults.append(text)

    def _caller(self) -> Principal:
        groups = frozenset(group for group in GROUPS if self.random.random() < 0.4)
        roles = frozenset({ADMIN}) if self.random.random() < 0.1 else frozenset({"read"})
        return Principal(self.random.choice(TENANTS), "user", groups, roles)

    def _access(self) -> Access:
        choice = self.random.random()
        if choice < 0.3:
            return Access(None)
        if choice < 0.4:
            return Access(())
        return Access(tuple(self.random.sample(GROUPS, self.random.randint(1, 2))))

    def _filter(self) -> Filter | None:
        language = self.random.choice(LANGUAGES)
        return self.random.choice(
            (None, None, Eq("lang", language), Not(Eq("lang", language)), In("lang", LANGUAGES))
        )


@asynccontextmanager
async def programme(folder: Path, seed: int) -> AsyncIterator[Programme]:
    """A gateway before real services, prepared."""
    clock, settings = SystemClock(), CacheSettings()
    cache = CacheService(
        MemoryAnswers(settings.answer_limits(), clock),
        MemoryHits(settings.hit_limits(), clock),
        MemoryVectors(settings.vector_bytes(), settings.vector_ttl_seconds, clock),
    )
    async with running(folder, cache=cache) as beneath:
        gateway = GatewayService(
            beneath.indexing.service,
            beneath.retrieval,
            FakeGenerator(),
            cache,
            beneath.embedder,
            clock,
            routes=KnownRoutes(clock),
            gate=Gate(EqualQuotas(), clock),
        )
        made = Programme(gateway, beneath, random.Random(seed))
        await made.prepare()
        yield made


def _admin(tenant: str) -> Principal:
    return Principal(tenant, "admin", roles=frozenset({ADMIN}))


def _word(tenant: str, revision: int) -> str:
    return f"{tenant}-secret-{revision}"


def _words_in(text: str) -> Sequence[str]:
    return [word.strip(".") for word in text.split() if "-secret-" in word]


def _fits(filter: Filter | None, known: Known) -> bool:
    match filter:
        case Eq():
            return known.language == filter.value
        case Not():
            return not _fits(filter.part, known)
        case _:
            return True
