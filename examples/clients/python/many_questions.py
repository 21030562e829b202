"""Asks several questions at the same time; run first_answer.py before.

.venv/bin/python examples/clients/python/many_questions.py [HOST:PORT]
"""

# ruff: noqa: T201 - it talks to a person

from __future__ import annotations

import asyncio
import sys

from ragmesh.sdk import AnswerStatus, AsyncMesh, Kind, RagmeshError

COLLECTION = "ferries"
QUESTIONS = (
    "Who closes the bow door?",
    "When is shore power connected?",
    "What does a parking permit cost?",
)


async def main(server: str) -> None:
    """Print each answer, in the order of the questions."""
    async with AsyncMesh(server) as mesh:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(answer(mesh, question)) for question in QUESTIONS]
        for question, task in zip(QUESTIONS, asked, strict=True):
            print(f"{question}\n    {task.result()}")


async def answer(mesh: AsyncMesh, question: str) -> str:
    """The answer, or why there is none; one question that fails stops no other."""
    try:
        found = await mesh.with_options(timeout_seconds=30).ask(COLLECTION, question)
    except RagmeshError as error:
        if error.kind is Kind.NOT_FOUND:
            raise  # no question would fare better
        return f"{error.reason}: {error.message}"
    if found.status is AnswerStatus.NO_CONTEXT:
        return "The documents do not say."
    return found.answer


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"))
