"""What a dry run says comes over a wire as it was: nothing known is not zero."""

from __future__ import annotations

import pytest

from ragmesh.chassis.messages.migrations import estimate_from_message, estimate_to_message
from ragmesh.core.documents import Chunking
from ragmesh.core.migrations import IndexEstimate


@pytest.mark.parametrize("tokens", [None, 0, 12_345])
@pytest.mark.parametrize("dollars", [None, 0.0, 1.25])
def test_tokens_and_money_are_known_or_not(tokens: int | None, dollars: float | None) -> None:
    estimate = IndexEstimate(
        "v2-1", "fast", Chunking(100, 10), "en", 3, 9, 4_096, 0.5, tokens=tokens, dollars=dollars
    )
    assert estimate_from_message(estimate_to_message(estimate)) == estimate
