"""Nothing that loads by itself, and no marker of ours that is not checked, leaves the filter."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.generation.adapters.hold_back import HELD_CHARACTERS, HoldBack, Marker, Piece


def shown(*pieces: str) -> str:
    """What is seen of these pieces; a marker of source n is shown as {n}."""
    hold = HoldBack(sources=9)
    out: list[Piece] = [piece for text in pieces for piece in hold.feed(text)]
    return "".join(
        f"{{{piece.number}}}" if isinstance(piece, Marker) else piece
        for piece in [*out, *hold.end()]
    )


CASES = {
    "plain words": ("Dogs bark.", "Dogs bark."),
    "a marker": ("Dogs bark [1].", "Dogs bark {1}."),
    "two markers": ("Dogs bark [1][2].", "Dogs bark {1}{2}."),
    "a list of markers": ("Dogs bark [1, 2].", "Dogs bark {1}{2}."),
    "a range of markers": ("Dogs bark [1-3].", "Dogs bark {1}{2}{3}."),
    "a spelt-out marker": ("Dogs bark [Source 2].", "Dogs bark {2}."),
    "a footnote": ("Dogs bark [^2].", "Dogs bark {2}."),
    "brackets of the text": ("Dogs [and cats] bark.", "Dogs [and cats] bark."),
    "a link": ("See [the page](http://a.example).", "See [the page](http://a.example)."),
    "a marker made a link": ("Dogs [1](http://evil.example).", "Dogs {1} (http://evil.example)."),
    "a marker made a definition": ("[1]: http://evil.example", "{1} : http://evil.example"),
    "an index": ("a[i] = b[i]", "a[i] = b[i]"),
    "a source that was not given": ("Dogs [1] [10].", "Dogs {1}."),
    "a number beyond all sources": ("Dogs [123456] bark.", "Dogs bark."),
    "a bracket that stays open": ("Dogs [and cats bark.", "Dogs [and cats bark."),
    "a number that stays open": ("Dogs [12 bark.", "Dogs (12 bark."),
    "exclamations": ("Dogs! Bark!! Yes!", "Dogs! Bark!! Yes!"),
    "not equal": ("a != b and !x", "a != b and !x"),
    "an image": ("Dogs ![x](http://evil.example/?q=1) bark.", "Dogs bark."),
    "an image of a reference": ("Dogs ![x][evil] bark.", "Dogs bark."),
    "an image of a shortcut": ("Dogs ![evil] bark.", "Dogs bark."),
    "two marks before an image": ("Dogs !![x](http://evil.example) bark.", "Dogs ! bark."),
    "an image at the end": ("Dogs ![x](http://evil.example", "Dogs"),
    "an element that loads": ("Dogs <img src=http://evil.example> bark.", "Dogs bark."),
    "one in capitals": ("Dogs <IMG/src=//evil.example> bark.", "Dogs bark."),
    "one that stays open": ("Dogs <img src=http://evil.example", "Dogs"),
    "an element with attributes": ("<b onclick=x>Dogs</b>", "‹b onclick=x>Dogs</b>"),
    "a comment": ("Dogs <!-- x --> bark.", "Dogs ‹!-- x --> bark."),
    "a bare element": ("Dogs <b>bark</b>.", "Dogs <b>bark</b>."),
    "a type": ("A List<String> of Map<K,V>", "A List<String> of Map‹K,V>"),
    "comparisons": ("a < b, 3 <4, <- and <=", "a < b, 3 <4, <- and <="),
    "zero width between": ("Dogs !\u200b[x](http://evil.example) bark.", "Dogs bark."),
    "tag characters": ("Dogs\U000e0041\U000e0042 bark.", "Dogs bark."),
    "a turned direction": ("Dogs \u202ebark.", "Dogs bark."),
    "a long target": (f"Dogs ![x](http://evil.example/{'a' * 500}) bark.", "Dogs bark."),
    "a long name": (f"![{'a' * 99}](http://evil.example)", f"({'a' * 99}](http://evil.example)"),
}


@pytest.mark.parametrize(("said", "seen"), CASES.values(), ids=CASES)
def test_what_is_seen_does_not_depend_on_where_the_provider_cuts(said: str, seen: str) -> None:
    assert shown(said) == seen
    assert shown(*said) == seen
    for cut in range(len(said)):
        assert shown(said[:cut], said[cut:]) == seen


def test_words_go_out_at_once_and_no_more_than_a_token_is_held() -> None:
    hold = HoldBack(sources=9)
    assert hold.feed("Dogs bark") == ["Dogs bark"]
    assert hold.feed(" [1") == []
    assert hold.feed("] at") == [" ", Marker(1), " at"]
    assert hold.feed(" [" + "x" * (HELD_CHARACTERS + 1)) == [" [", "x" * (HELD_CHARACTERS + 1)]


def test_space_before_a_dropped_image_is_dropped_with_it_and_else_comes_late() -> None:
    hold = HoldBack(sources=9)
    assert hold.feed("Dogs ") == ["Dogs"]
    assert hold.feed("bark.") == [" bark."]


@given(st.lists(st.text("!<[]()>12, \nab/:img\u200b", max_size=12), max_size=12))
def test_no_text_in_any_cuts_lets_an_image_an_element_or_a_marker_through(
    pieces: list[str],
) -> None:
    seen = shown(*pieces)
    assert not re.search(r"!\[[^\]\n]*\]\(", seen)
    assert "<img" not in seen
    assert not re.search(r"\[\d{1,4}\]", seen)
    assert "\u200b" not in seen
