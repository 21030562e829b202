"""What nobody sees is taken out; what is seen, and what it is written with, stays."""

from __future__ import annotations

import pytest

from ragmesh.generation.adapters.invisible import visible


@pytest.mark.parametrize(
    "hidden",
    [
        pytest.param("\u200b\u2060\ufeff", id="zero width"),
        pytest.param("\U000e0041\U000e007f", id="tags"),
        pytest.param("\ufe00\U000e0100\U000e01ef", id="variation selectors that spell out bytes"),
        pytest.param("\u202e\u2066\u061c", id="directions"),
        pytest.param("\u3164\u115f\uffa0", id="fillers"),
        pytest.param("\x00\x1b\x7f\x85", id="controls"),
    ],
)
def test_what_nobody_sees_is_taken_out(hidden: str) -> None:
    assert visible(f"do{hidden.join('gs')}{hidden}") == "dogs"


@pytest.mark.parametrize(
    "text",
    [
        "a\tb\r\nc",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u2764\ufe0f",
        "\U0001f469\u200d\U0001f680",
        "Stra\u00dfe \u65e5\u672c",
    ],
)
def test_what_is_seen_and_what_it_is_written_with_stays(text: str) -> None:
    assert visible(text) == text
