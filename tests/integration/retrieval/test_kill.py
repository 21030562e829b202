"""kill -9 while writing loses nothing that was acknowledged and leaves nothing half-written."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from ragmesh.core.index import IndexSpec
from ragmesh.core.pages import PageRequest
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.retrieval.adapters.spec_text import decode_spec, encode_spec
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.testing.retrieval import Publisher, document_write, index_spec, uid_of
from ragmesh.testing.retrieval_finding import find

_DOCUMENTS = 7


def texts(revision: int) -> tuple[str, ...]:
    """Chunks that say of which revision they are."""
    return tuple(f"cat of edition{revision} part{part}" for part in range(4))


async def write_for_ever(root: Path, spec: IndexSpec, first: int) -> None:
    """Write one revision after the other, delete the one before, and tell when it is kept."""
    async with embedded_index(root) as index:
        revision = first
        while True:
            name = f"d{revision % _DOCUMENTS}"
            write = document_write(spec, name, *texts(revision), revision=revision)
            await index.write(write)
            await index.delete(spec.index_version_uid, uid_of(name), below_revision=revision)
            print(revision, flush=True)
            revision += 1


async def killed_while_writing(root: Path, spec: IndexSpec, first: int, lines: int) -> int:
    """The last revision that a writer acknowledged before it was killed."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, __file__, str(root), encode_spec(spec), str(first), stdout=-1
    )
    assert writer.stdout is not None
    last = first - 1
    for _ in range(lines):
        last = int(await writer.stdout.readline())
    writer.kill()
    rest, _ = await writer.communicate()
    return int(rest.split()[-1]) if rest.split() else last


async def held(index: VectorIndex, spec: IndexSpec) -> dict[str, set[int]]:
    """Revisions that are kept of each document."""
    page = await index.list_digests(spec.index_version_uid, PageRequest(1_000))
    revisions: dict[str, set[int]] = {}
    for digest in page.items:
        assert digest.chunk_count == len(texts(digest.revision))
        revisions.setdefault(digest.document_uid, set()).add(digest.revision)
    return revisions


@pytest.mark.parametrize("kills", [6])
async def test_every_acknowledged_write_survives_a_kill(tmp_path: Path, kills: int) -> None:
    root, spec = tmp_path / "index", index_spec()
    async with embedded_index(root) as index:
        await index.create(spec)
    last = 0
    for round_ in range(kills):
        last = await killed_while_writing(root, spec, last + 1, lines=3 + 5 * round_)
        async with embedded_index(root) as index:
            revisions = await held(index, spec)
            assert set().union(*revisions.values()) <= set(range(1, last + 2))
            for revision in range(max(1, last - _DOCUMENTS + 1), last + 1):
                assert revision in revisions[uid_of(f"d{revision % _DOCUMENTS}")]
            publisher = Publisher(spec)
            for uid, kept in revisions.items():
                name = uid.removeprefix("uid-")
                await index.apply_heads(publisher.publish(name, revision=max(kept)))
            for question, keyword in (("cat", False), ("cat", True)):
                chunks = await find(index, spec, question, keyword=keyword)
                assert sorted(chunk.text for chunk in chunks) == sorted(
                    text for kept in revisions.values() for text in texts(max(kept))
                )


if __name__ == "__main__":
    asyncio.run(write_for_ever(Path(sys.argv[1]), decode_spec(sys.argv[2]), int(sys.argv[3])))
