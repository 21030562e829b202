"""The fake keeps the promises of the real reader."""

from __future__ import annotations

import pytest

from ragmesh.core.errors import EncryptedFileError, NoTextError, UnreadableFileError
from ragmesh.core.reading import ChunkPlan, SourceFile
from ragmesh.testing.reading import FakeReader

PLAN = ChunkPlan(b"", 16)


async def test_every_chunk_is_a_part_of_the_text_that_fits() -> None:
    text = "One word. Two words!\n\n" + "many " * 40
    read = await FakeReader().read(SourceFile(text.encode(), "a.txt"), PLAN)
    assert [chunk.token_count for chunk in read.chunks] == [4, 16, 16, 8]
    assert all(chunk.span.of(read.extraction.text) == chunk.text for chunk in read.chunks)
    first = read.chunks[0]
    assert [s.of(first.text) for s in first.sentences] == ["One word.", "Two words!"]


async def test_splitting_again_gives_the_same_chunks() -> None:
    reader = FakeReader()
    read = await reader.read(SourceFile(b"One. Two.\n\nThree.", "a.txt"), PLAN)
    assert await reader.split(read.extraction, PLAN) == read.chunks
    assert (reader.read_files, reader.splits) == (["a.txt"], 1)


@pytest.mark.parametrize(
    ("content", "error"), [(b" ", NoTextError), (b"\xff", UnreadableFileError)]
)
async def test_bad_files_are_refused(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        await FakeReader().read(SourceFile(content), PLAN)


async def test_a_file_can_be_made_to_fail() -> None:
    reader = FakeReader()
    reader.refusals["a.pdf"] = EncryptedFileError("locked")
    with pytest.raises(EncryptedFileError):
        await reader.read(SourceFile(b"words", "a.pdf"), PLAN)
