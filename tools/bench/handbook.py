"""The example handbook in a mesh, and questions about it without end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from ragmesh.clients.gateway import GatewayClient
from ragmesh.core.documents import NewCollection, Upload
from ragmesh.core.questions import Question
from tools.bench.page import ROOT

HANDBOOK = "handbook"


async def fill_handbook(client: GatewayClient) -> None:
    """A new collection with every file of the handbook, indexed."""
    await client.create_collection(NewCollection(HANDBOOK))
    for path in sorted((ROOT / "examples/handbook").iterdir()):
        upload = Upload(path.read_bytes(), document_id=path.name, filename=path.name)
        accepted = await client.create_document(HANDBOOK, upload)
        async for _ in client.watch_job(accepted.job_id):
            pass


def new_questions() -> Iterator[Question]:
    """Questions that the handbook answers, without end and no two alike."""
    known = json.loads((ROOT / "examples/questions.json").read_text(encoding="utf-8"))
    for number in itertools.count():
        for example in known["answerable"]:
            yield Question.parse(f"{example['question']} Asked {number} times before.")
