"""What a library loads late is what it would have loaded itself."""

from __future__ import annotations

from trafilatura import external

from ragmesh.indexing.parser.kinds import Family
from ragmesh.indexing.parser.warmup import warm_up


def test_the_stop_words_are_those_of_the_library() -> None:
    own = {word for word in external.jt_stoplist_init() if word}
    external.JT_STOPLIST = None
    warm_up(Family.PAGES)
    assert set(external.JT_STOPLIST or ()) == own
