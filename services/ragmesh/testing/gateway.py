"""A whole gateway for tests: a catalog in memory and fakes of the other services behind it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from ragmesh.core.clock import Clock
from ragmesh.core.documents import NewCollection
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.limiting.gate import PLACES, Gate
from ragmesh.gateway.limiting.quotas import EqualQuotas
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.ports import Quotas
from ragmesh.gateway.routes import KnownRoutes
from ragmesh.gateway.service import GatewayService
from ragmesh.testing.books import MemoryBooks
from ragmesh.testing.cache import FakeAnswerCache
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEmbedder
from ragmesh.testing.generation import FakeGenerator
from ragmesh.testing.indexing import FakeIndexing
from ragmesh.testing.retrieval import FakeRetriever, fake_hit

COLLECTION = "handbook"
SENTENCE = "A new colleague has 28 days of leave."


@dataclass(slots=True)
class FakeMesh:
    """Everything behind a gateway, at hand for a test to look at and to break."""

    catalog: FakeIndexing = field(default_factory=FakeIndexing)
    retriever: FakeRetriever = field(
        default_factory=lambda: FakeRetriever(hits=(fake_hit("leave.md", SENTENCE),))
    )
    generator: FakeGenerator = field(default_factory=FakeGenerator)
    cache: FakeAnswerCache = field(default_factory=FakeAnswerCache)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    clock: Clock = field(default_factory=ManualClock)
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    quotas: Quotas = field(default_factory=EqualQuotas)
    places: int = PLACES
    refusals: list[tuple[str, str]] = field(default_factory=list)
    """What was refused at the gate: reason and scope."""
    books: MemoryBooks = field(default_factory=MemoryBooks)
    stages: list[str] = field(default_factory=list)
    """Names of the stages of all use cases, in the order in which they began."""
    gate: Gate = field(init=False)
    routes: KnownRoutes = field(init=False)
    """What it heard of routes."""

    def __post_init__(self) -> None:
        self.routes = KnownRoutes(self.clock)
        self.gate = Gate(
            self.quotas,
            self.clock,
            places=lambda: self.places,
            on_refusal=lambda *refused: self.refusals.append(refused),
        )

    def service(self) -> GatewayService:
        """The gateway in front of it."""
        return GatewayService(
            self.catalog,
            self.retriever,
            self.generator,
            self.cache,
            self.embedder,
            self.clock,
            self.limits,
            spans=self,
            routes=self.routes,
            gate=self.gate,
            books=self.books,
        )

    def stage(self, name: str) -> AbstractContextManager[None]:
        """See `StageSpans`."""
        self.stages.append(name)
        return nullcontext()

    async def with_collection(self, name: str = COLLECTION) -> FakeMesh:
        """The same with an empty collection."""
        await self.catalog.create_collection(DEVELOPER, NewCollection(name))
        return self
