"""What kopf is given, and what it tells."""

from __future__ import annotations

import logging
import threading
from typing import Any

import kopf
import pytest
from kopf._core.actions.invocation import invoke

from ragmesh_operator.handlers import hush, kopf_settings, registry_for
from ragmesh_operator.schemas import KINDS

BODY: Any = {"kind": "RAGCollection", "metadata": {"name": "handbook", "namespace": "team"}}


def test_a_record_of_kopf_names_the_resource_and_not_its_settings(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("kopf.objects")
    before = list(logger.filters)
    hush()
    try:
        told = kopf.ObjectLogger(body=kopf.Body(BODY), settings=kopf_settings())
        told.warning("it failed")
    finally:
        logger.filters = before
    (record,) = caplog.records
    assert record.__dict__["resource"] == "RAGCollection team/handbook"
    assert not {"settings", "k8s_skip", "k8s_ref"} & record.__dict__.keys()


async def test_kopf_tells_in_the_thread_of_the_loop() -> None:
    threads: list[int] = []

    def listen(*_: object) -> None:
        threads.append(threading.get_ident())

    registry = registry_for(listen, lambda: kopf.ConnectionInfo(server="http://nobody"))
    for handler in registry._watching._handlers:
        event = {"type": "ADDED", "object": BODY}
        await invoke(handler.fn, settings=kopf_settings(), kwargs={"event": event})
    assert threads == [threading.get_ident()] * len(KINDS)
