"""Phrases and fields mean the same in every store, as a suite."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.core.index import DocumentWrite, IndexSpec
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.testing.retrieval import attributes, chunk, document_write
from ragmesh.testing.retrieval_finding import created, find, publish


class WordingContract:
    """A keyword search finds what holds its phrases, where it asks for them."""

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            pytest.param("cat", {"cat-first", "dog-first"}, id="a word"),
            pytest.param('"cat chased"', {"cat-first"}, id="a phrase"),
            pytest.param('dog "cat chased"', {"cat-first"}, id="words only help beside a phrase"),
            pytest.param("\u201edog chased\u201c", {"dog-first"}, id="typographic marks"),
            pytest.param('"the cat" "the dog"', {"cat-first", "dog-first"}, id="two phrases"),
            pytest.param('"chased dog"', set(), id="words in another order"),
            pytest.param("title:handbook", {"manual"}, id="a word of the title"),
            pytest.param('"crew handbook"', {"manual"}, id="a phrase in any field"),
            pytest.param('text:"crew handbook"', set(), id="a phrase that is in another field"),
            pytest.param("headings:drills", {"manual"}, id="a word of a heading"),
            pytest.param('headings:"safety drills" wind', {"manual"}, id="a phrase of headings"),
            pytest.param("title:handbook title:galley", set(), id="every field must hold"),
        ],
    )
    async def test_a_hit_holds_what_the_wording_asks_for(
        self, index: VectorIndex, query: str, names: set[str]
    ) -> None:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "cat-first", "the cat chased the dog"), publisher)
        await publish(index, document_write(spec, "dog-first", "the dog chased the cat"), publisher)
        await publish(index, _manual(spec), publisher)
        hits = await find(index, spec, query, keyword=True)
        assert {hit.document_id for hit in hits} == names


def _manual(spec: IndexSpec) -> DocumentWrite:
    write = document_write(spec, "manual", given=attributes("manual", title="crew handbook"))
    return replace(write, chunks=(chunk("strong wind", headings=("safety drills",)),))
