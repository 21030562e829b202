"""What kopf is given, and what it tells."""

from __future__ import annotations

import logging
from typing import Any

import kopf
import pytest

from ragmesh_operator.handlers import hush, kopf_settings

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
