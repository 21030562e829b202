"""Adds two documents, waits until they can be found, and asks about them.

.venv/bin/python examples/clients/python/first_answer.py [HOST:PORT]

A mesh must run, see `make up`.
"""

# ruff: noqa: T201 - it talks to a person

from __future__ import annotations

import sys
from pathlib import Path

from ragmesh.sdk import Answer, Citation, Delta, Mesh, RagmeshError

HANDBOOK = Path(__file__).resolve().parents[2] / "handbook"
COLLECTION = "ferries"


def main(server: str) -> int:
    """Say what is done and what came back; 1 when the mesh refused something."""
    with Mesh(server) as mesh:
        try:
            prepare(mesh)
            ask(mesh, "Above which wind speed does the Lyra stay in port?")
        except RagmeshError as error:
            print(f"{error.reason}: {error.message}", file=sys.stderr)
            return 1
    return 0


def prepare(mesh: Mesh) -> None:
    """Make the collection unless an earlier run has made it, and add what it is asked about."""
    if not any(collection.name == COLLECTION for collection in mesh.list_collections()):
        mesh.create_collection(COLLECTION, language="en", description="What the crews read")
    for name in ("departure-and-arrival.pdf", "shore-power-and-fuel.md"):
        accepted = mesh.create_document(COLLECTION, HANDBOOK / name, metadata={"kind": "handbook"})
        mesh.wait(accepted, timeout_seconds=60)
        document = mesh.get_document(COLLECTION, accepted.document_id)
        print(f"{document.document_id}: {document.chunks} chunks")


def ask(mesh: Mesh, question: str) -> None:
    """Print the answer as it is written, then what it rests on."""
    for event in mesh.stream_answer(COLLECTION, question, filter={"eq": ["kind", "handbook"]}):
        match event:
            case Delta(text):
                print(text, end="", flush=True)
            case Citation():
                pass  # the answer brings them once more
            case Answer() as answer:
                print(f"\n{answer.status.value}, confidence {answer.confidence:.2f}")
                for citation in answer.citations:
                    print(f"{citation.marker} {citation.document_id}, page {citation.page}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"))
