"""Retrieval's settings hold what the service starts with."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ragmesh.retrieval.adapters.embedded.shelf import MOST_BYTES
from ragmesh.retrieval.follower import Patience
from ragmesh.retrieval.reranking import RerankApi, RerankEndpoint, RerankLimits
from ragmesh.retrieval.settings import RetrievalSettings


def test_the_defaults_are_those_of_the_service() -> None:
    assert RetrievalSettings().patience == Patience()
    assert RetrievalSettings().memory_bytes == MOST_BYTES


def test_settings_reach_the_follower() -> None:
    settings = RetrievalSettings(first_heads_seconds=1.5, stale_after_seconds=7)
    assert settings.patience == Patience(first_heads_seconds=1.5, stale_after_seconds=7)


@pytest.mark.parametrize(
    "field", ["first_heads_seconds", "stale_after_seconds", "threads", "memory_megabytes"]
)
def test_none_of_them_may_be_zero(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        RetrievalSettings.model_validate({field: 0})


def test_a_reranker_is_there_once_it_has_an_address() -> None:
    assert RetrievalSettings().reranker is None
    url = "http://reranker:8080/rerank"
    plain = RetrievalSettings.model_validate({"reranker": {"url": url}}).reranker
    assert plain is not None
    assert (plain.endpoint, plain.limits) == (RerankEndpoint(url), RerankLimits())


def test_settings_of_a_reranker_reach_it() -> None:
    given = {
        "url": "https://api.jina.ai/v1/rerank",
        "api": "tei",
        "model": "m",
        "api_key": "secret",
        "candidates": 7,
        "timeout_seconds": 0.5,
    }
    settings = RetrievalSettings.model_validate({"reranker": given}).reranker
    assert settings is not None
    assert settings.endpoint == RerankEndpoint(str(given["url"]), RerankApi.TEI, "m", "secret")
    assert settings.limits == RerankLimits(candidates=7, seconds=0.5)
    assert "secret" not in repr(settings)


def test_what_decides_how_a_reranker_orders_is_told_from_what_does_not() -> None:
    given: dict[str, object] = {"url": "http://reranker/rerank"}

    def digest(**more: object) -> str:
        return RetrievalSettings.model_validate({"reranker": {**given, **more}}).reranker_digest

    assert RetrievalSettings().reranker_digest == ""
    assert digest(api_key="secret", timeout_seconds=9) == digest() != ""
    others = ({"model": "m"}, {"api": "tei"}, {"candidates": 7}, {"url": "http://other/rerank"})
    assert len({digest(), *(digest(**other) for other in others)}) == 5


@pytest.mark.parametrize("url", ["", "reranker", "ftp://x", "http://user:pass@x/", "http://x/?k=1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        RetrievalSettings.model_validate({"reranker": {"url": url}})
