"""Every metric and span that a process of ragmesh may emit; nothing else can be.

The same list, with what its attributes mean, stands in docs/reference/telemetry.yaml; a test
compares the two. Attributes take few values: never a tenant, collection, document, id or text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

SECONDS, ONE, DOLLARS, BYTES = "s", "1", "USD", "By"
_UNIT_SUFFIXES = {SECONDS: "_seconds", DOLLARS: "_dollars", BYTES: "_bytes", ONE: ""}

WORK_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Bounds around the service levels: retrieval 300 ms, the first token 2 s, a question 30 s."""
LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Instrument(Enum):
    """How a metric is counted."""

    COUNTER = "counter"
    """Only grows."""
    UP_DOWN = "updowncounter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"
    """Read when somebody looks."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that a process shows."""

    name: str
    unit: str
    instrument: Instrument
    attributes: tuple[str, ...]
    description: str
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""

    @property
    def prometheus_name(self) -> str:
        """The name in /metrics, without the suffix of its samples."""
        return self.name.replace(".", "_") + _UNIT_SUFFIXES[self.unit]


class SpanKind(Enum):
    """Which side of what a span is about."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


_RPC = ("rpc.system.name", "rpc.method", "rpc.response.status_code", "error.type")

RPC_SERVED = Metric(
    "rpc.server.call.duration",
    SECONDS,
    Instrument.HISTOGRAM,
    _RPC,
    "How long calls took to be answered, streams to their end.",
    WORK_SECONDS,
)
RPC_CALLED = Metric(
    "rpc.client.call.duration",
    SECONDS,
    Instrument.HISTOGRAM,
    _RPC,
    "How long calls to other services took, retries included.",
    WORK_SECONDS,
)
HTTP_SERVED = Metric(
    "http.server.request.duration",
    SECONDS,
    Instrument.HISTOGRAM,
    (
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "url.scheme",
        "error.type",
    ),
    "How long HTTP requests took to be answered, streams to their end.",
    WORK_SECONDS,
)
REQUESTS = Metric(
    "rag.requests",
    ONE,
    Instrument.COUNTER,
    ("rag.operation", "rag.outcome"),
    "Questions and searches that ended, by how.",
)
REQUEST_LATENCY = Metric(
    "rag.request.latency",
    SECONDS,
    Instrument.HISTOGRAM,
    ("rag.operation", "rag.outcome"),
    "How long questions and searches took, to the end of the answer.",
    WORK_SECONDS,
)
FIRST_DELTA = Metric(
    "rag.request.time_to_first_delta",
    SECONDS,
    Instrument.HISTOGRAM,
    (),
    "How long a question waited for the first piece of its answer.",
    WORK_SECONDS,
)
ACTIVE_REQUESTS = Metric(
    "rag.active_requests",
    ONE,
    Instrument.UP_DOWN,
    ("rag.operation",),
    "Questions and searches under way.",
)
CACHE_HITS = Metric(
    "rag.cache.hits",
    ONE,
    Instrument.COUNTER,
    ("rag.cache",),
    "Lookups that found an entry.",
)
CACHE_MISSES = Metric(
    "rag.cache.misses",
    ONE,
    Instrument.COUNTER,
    ("rag.cache",),
    "Lookups that found nothing.",
)
CACHE_FAILURES = Metric(
    "rag.cache.failures",
    ONE,
    Instrument.COUNTER,
    ("rag.cache",),
    "Lookups that were not answered, and were done without.",
)
CACHE_REFUSALS = Metric(
    "rag.cache.refusals",
    ONE,
    Instrument.COUNTER,
    ("rag.cache",),
    "Entries that were not kept, because what they were made from had changed.",
)
CACHE_EVICTIONS = Metric(
    "rag.cache.evictions",
    ONE,
    Instrument.COUNTER,
    ("rag.cache",),
    "Entries dropped for want of room.",
)
CACHE_ENTRIES = Metric(
    "rag.cache.entries",
    ONE,
    Instrument.UP_DOWN,
    ("rag.cache",),
    "Entries held.",
)
CACHE_SIZE = Metric(
    "rag.cache.size",
    BYTES,
    Instrument.UP_DOWN,
    ("rag.cache",),
    "Bytes that the entries take.",
)
LLM_CALLS = Metric(
    "rag.llm.calls",
    ONE,
    Instrument.COUNTER,
    ("gen_ai.response.model", "rag.outcome"),
    "Generations that ended, the extractive engine's too.",
)
LLM_COST = Metric(
    "rag.llm.cost",
    DOLLARS,
    Instrument.COUNTER,
    ("gen_ai.response.model",),
    "What generations cost, also those that nobody read to their end.",
)
EVENTS_HANDLED = Metric(
    "ragmesh.events.handled",
    ONE,
    Instrument.COUNTER,
    ("messaging.destination.name", "messaging.consumer.group.name", "ragmesh.event.outcome"),
    "Attempts to handle an event, by what became of it.",
)
EVENT_LAG = Metric(
    "ragmesh.events.lag",
    ONE,
    Instrument.UP_DOWN,
    ("messaging.destination.name", "messaging.consumer.group.name"),
    "Events that a consumer group has not finished; each of its members shows all of them, and "
    "nothing while brokers do not answer.",
)
BACKLOG = Metric(
    "ragmesh.indexing.backlog",
    ONE,
    Instrument.UP_DOWN,
    ("ragmesh.lane",),
    "Documents that wait for a worker or are being worked on, by lane; nothing once the catalog "
    "has not told for a minute.",
)
MIGRATIONS = Metric(
    "ragmesh.indexing.migrations",
    ONE,
    Instrument.UP_DOWN,
    ("ragmesh.migration.wait",),
    "Changes of an index that are under way, by what has to happen for them to go on.",
)
MIGRATION_HELD = Metric(
    "ragmesh.indexing.migration_held",
    SECONDS,
    Instrument.GAUGE,
    (),
    "How long that change of an index is held which has been for the longest; 0 without any.",
)
USAGE_WAITING = Metric(
    "ragmesh.gateway.usage_waiting",
    ONE,
    Instrument.GAUGE,
    (),
    "Records of usage that are not with indexing yet.",
)
USAGE_DROPPED = Metric(
    "ragmesh.gateway.usage_dropped",
    ONE,
    Instrument.COUNTER,
    (),
    "Records of free calls that there was no room for.",
)
CALLS_REFUSED = Metric(
    "ragmesh.identity.calls_refused",
    ONE,
    Instrument.COUNTER,
    ("ragmesh.refusal.reason",),
    "Calls of other services that were refused, by reason.",
)
CERTIFICATE_EXPIRY = Metric(
    "ragmesh.tls.certificate_expiry",
    SECONDS,
    Instrument.GAUGE,
    (),
    "How long the first of this process's certificates to end is still valid; negative afterwards.",
)
GATE_REFUSALS = Metric(
    "ragmesh.gateway.refusals",
    ONE,
    Instrument.COUNTER,
    ("ragmesh.refusal.reason", "ragmesh.refusal.scope"),
    "Requests that were refused because somebody had no room left, by reason and by whose room.",
)
IN_FLIGHT = Metric(
    "ragmesh.gateway.in_flight",
    ONE,
    Instrument.GAUGE,
    (),
    "Requests of callers that are under way, probes not among them.",
)
SEARCH_PLACES = Metric(
    "ragmesh.gateway.search_places",
    ONE,
    Instrument.GAUGE,
    (),
    "Searches that may be under way while more are asked for than are answered in time.",
)
DEPENDENCIES_AWAY = Metric(
    "ragmesh.process.dependencies_away",
    ONE,
    Instrument.GAUGE,
    (),
    "Servers and services that this process probes and that are away; `/readyz` names them.",
)
LOOP_LAG = Metric(
    "ragmesh.process.loop_lag",
    SECONDS,
    Instrument.HISTOGRAM,
    (),
    "How late the event loop was, measured ten times a second.",
    LAG_SECONDS,
)
SENT = Metric(
    "ragmesh.telemetry.sent",
    ONE,
    Instrument.COUNTER,
    ("ragmesh.telemetry.signal",),
    "Spans and metric points that the collector took.",
)
DROPPED = Metric(
    "ragmesh.telemetry.dropped",
    ONE,
    Instrument.COUNTER,
    ("ragmesh.telemetry.signal", "ragmesh.telemetry.cause"),
    "Spans and metric points that never reached the collector.",
)
QUEUED = Metric(
    "ragmesh.telemetry.queued",
    ONE,
    Instrument.GAUGE,
    (),
    "Spans that wait to be sent.",
)

METRICS = (
    RPC_SERVED,
    RPC_CALLED,
    HTTP_SERVED,
    REQUESTS,
    REQUEST_LATENCY,
    FIRST_DELTA,
    ACTIVE_REQUESTS,
    CACHE_HITS,
    CACHE_MISSES,
    CACHE_FAILURES,
    CACHE_REFUSALS,
    CACHE_EVICTIONS,
    CACHE_ENTRIES,
    CACHE_SIZE,
    LLM_CALLS,
    LLM_COST,
    EVENTS_HANDLED,
    EVENT_LAG,
    BACKLOG,
    MIGRATIONS,
    MIGRATION_HELD,
    USAGE_WAITING,
    USAGE_DROPPED,
    CALLS_REFUSED,
    CERTIFICATE_EXPIRY,
    GATE_REFUSALS,
    IN_FLIGHT,
    SEARCH_PLACES,
    DEPENDENCIES_AWAY,
    LOOP_LAG,
    SENT,
    DROPPED,
    QUEUED,
)
