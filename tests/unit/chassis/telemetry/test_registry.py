"""docs/reference/telemetry.yaml and the code say the same, both ways."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ragmesh.cache.service import CacheService
from ragmesh.chassis.events import facts
from ragmesh.chassis.telemetry.metering import OVERFLOW
from ragmesh.chassis.telemetry.observing import observable_methods
from ragmesh.chassis.telemetry.signals import METRICS, Instrument
from ragmesh.embedding.service import EmbeddingService
from ragmesh.gateway.service import GatewayService
from ragmesh.generation.service import GenerationService
from ragmesh.indexing.service import IndexingService
from ragmesh.retrieval.service import RetrievalService
from tools.generate_reference import registry

SERVICES = Path(__file__).parents[4] / "services" / "ragmesh"
OBSERVED = {
    "cache": CacheService,
    "embedding": EmbeddingService,
    "gateway": GatewayService,
    "generation": GenerationService,
    "indexing": IndexingService,
    "retrieval": RetrievalService,
}


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    return registry()


def test_every_metric_is_declared_as_the_code_makes_it(declared: dict[str, Any]) -> None:
    # OT-1
    made = [
        {
            "name": metric.name,
            "prometheus": metric.prometheus_name
            + ("_total" if metric.instrument is Instrument.COUNTER else ""),
            "instrument": metric.instrument.value,
            "unit": metric.unit,
            "attributes": list(metric.attributes),
            "description": metric.description,
        }
        for metric in METRICS
    ]
    assert declared["metrics"] == made


def test_every_attribute_is_explained_and_none_for_nothing(declared: dict[str, Any]) -> None:
    used = {name for metric in METRICS for name in metric.attributes}
    used |= {name for name, _ in OVERFLOW}
    used |= {name for spans in declared["spans"].values() for name in spans["attributes"]}
    assert set(declared["attributes"]) == used


def test_no_attribute_of_a_metric_can_name_whose_or_what_it_was() -> None:
    # OT-5
    telling = {"tenant", "collection", "document", "question", "query", "user", "subject", "id"}
    for metric in METRICS:
        for name in metric.attributes:
            assert not telling & set(name.replace("_", ".").split(".")), name


def test_every_rpc_of_the_contracts_has_its_spans(declared: dict[str, Any]) -> None:
    # OT-1
    assert declared["spans"]["rpc"]["names"] == sorted(_rpcs())


def _rpcs() -> Iterator[str]:
    for path in (SERVICES / "api").rglob("*_service_pb2.py"):
        parts = path.with_suffix("").relative_to(SERVICES.parent).parts
        for service in import_module(".".join(parts)).DESCRIPTOR.services_by_name.values():
            yield from (f"{service.full_name}/{method.name}" for method in service.methods)


def test_every_call_of_a_service_has_its_span(declared: dict[str, Any]) -> None:
    # OT-1
    made = [
        f"{name}.{method}"
        for name, service in OBSERVED.items()
        for method in observable_methods(service)
    ]
    assert declared["spans"]["calls"]["names"] == made


def test_every_event_has_its_spans(declared: dict[str, Any]) -> None:
    # OT-1
    topics = (
        facts.ANSWERS_INVALIDATED,
        facts.DOCUMENTS_CHANGED,
        facts.DOCUMENTS_BULK_CHANGED,
    )
    made = [f"{step} {topic}" for topic in topics for step in ("send", "process")]
    assert declared["spans"]["events"]["names"] == made


def test_every_log_record_has_a_constant_message_that_is_declared(declared: dict[str, Any]) -> None:
    # OT-1
    found = {message for path in SERVICES.rglob("*.py") for message in _messages(path)}
    assert declared["logs"] == sorted(found)


def _messages(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    loggers = text.count("getLogger(__name__)")
    assert text.count("_log = logging.getLogger(__name__)") == loggers, f"{path}: not _log"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("_log."):
            arguments = node.args[1:] if ast.unparse(node.func) == "_log.log" else node.args
            message = arguments[0]
            assert isinstance(message, ast.Constant), f"{path}:{node.lineno}: not constant"
            yield str(message.value)
