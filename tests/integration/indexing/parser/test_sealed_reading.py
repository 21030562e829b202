"""A sealed parser reads what it would read without walls, and needs nothing that it has not."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from ragmesh.core.errors import RagmeshError
from ragmesh.core.index import ChunkDraft
from ragmesh.core.reading import ChunkPlan, Extraction, SourceFile
from ragmesh.indexing.adapters.parser_process import ParserProcess
from ragmesh.indexing.parser import messages
from ragmesh.indexing.parser.chunker import split
from ragmesh.indexing.parser.confinement import Limits
from ragmesh.indexing.parser.extraction import extract
from ragmesh.indexing.parser.frames import Frame
from ragmesh.indexing.parser.kinds import Family, kind_of
from ragmesh.indexing.parser.tokens import TokenCounter
from tests.integration.indexing.parser.zoo import zoo
from tests.unit.indexing.parser.samples import word_tokenizer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can seal")

TOKENIZER = word_tokenizer()
PLAN = ChunkPlan(TOKENIZER, 64)
SECONDS = 60.0

Reading = tuple[Extraction, tuple[ChunkDraft, ...]] | tuple[str, str]


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[Family, ParserProcess]]:
    """One sealed process of each family, which reads everything of it."""
    started = {family: ParserProcess(family, Limits(cpu_seconds=600)) for family in Family}
    try:
        assert {process.wait_ready(SECONDS).mode for process in started.values()} == {"sealed"}
        yield started
    finally:
        for process in started.values():
            process.end()


def sealed(process: ParserProcess, source: SourceFile) -> tuple[Reading, tuple[str, ...]]:
    """What is read behind the walls, and what was missed there."""
    header = {
        "operation": "read",
        "cpu_seconds": 600,
        "tokenizer": process.learn(TOKENIZER, SECONDS),
        "max_tokens": PLAN.max_tokens,
        "overlap_tokens": PLAN.overlap_tokens,
        "language": PLAN.language,
        "filename": source.filename,
        "content_type": source.content_type,
    }
    frame = process.exchange(Frame(header, source.content), SECONDS)
    try:
        messages.raise_verdict(frame)
    except RagmeshError as error:
        return (error.reason, error.message), messages.late_loads(frame)
    return messages.read_answer(frame), messages.late_loads(frame)


def unsealed(source: SourceFile) -> Reading:
    """What is read without walls, in this process."""
    try:
        extraction = extract(source)
    except RagmeshError as error:
        return error.reason, error.message
    return extraction, tuple(split(extraction, PLAN, TokenCounter(TOKENIZER)))


def test_the_walls_change_nothing_of_what_is_read(
    processes: dict[Family, ParserProcess],
) -> None:
    different = []
    missed: set[str] = set()
    for source in zoo():
        reading, late = sealed(processes[kind_of(source).family], source)
        missed.update(late)
        if reading != unsealed(source):
            different.append(source.filename)
    assert (different, missed) == ([], set())
