"""Adds a document and asks about it over gRPC, with nothing but the committed stubs.

.venv/bin/python examples/ask_over_grpc.py [HOST:PORT]      (a mesh must run, see `make up`)
"""

# ruff: noqa: T201 - it talks to a person

from __future__ import annotations

import sys

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from ragmesh.api.gateway.v1 import (
    ask_service_pb2,
    ask_service_pb2_grpc,
    collection_service_pb2,
    collection_service_pb2_grpc,
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
)
from ragmesh.api.types.v1.answer_pb2 import AnswerStatus
from ragmesh.api.types.v1.job_pb2 import JobState

COLLECTION = "lighthouses"
TEXT = """# The lighthouse of Grömsiel

The lighthouse of Grömsiel is 31 metres high. It was built in 1889 and runs without a keeper
since 1978. Its light is seen from 17 nautical miles away.
"""
TIMEOUT_SECONDS = 30


def main(address: str) -> int:
    """Say what is done and what came back; 1 when the mesh refused something."""
    with grpc.insecure_channel(address) as channel:
        try:
            make_collection(channel)
            add_document(channel)
            ask(channel, "How high is the lighthouse of Grömsiel?")
        except grpc.RpcError as error:
            print(f"{reason_of(error)}: {error.details()}", file=sys.stderr)
            return 1
    return 0


def make_collection(channel: grpc.Channel) -> None:
    """Make the collection unless an earlier run has made it."""
    collections = collection_service_pb2_grpc.CollectionServiceStub(channel)
    request = collection_service_pb2.CreateCollectionRequest(name=COLLECTION, language="en")
    try:
        collections.CreateCollection(request, timeout=TIMEOUT_SECONDS)
    except grpc.RpcError as error:
        if reason_of(error) != "COLLECTION_EXISTS":
            raise


def add_document(channel: grpc.Channel) -> None:
    """Send a text and follow its job to the end."""
    documents = document_service_pb2_grpc.DocumentServiceStub(channel)
    header = document_pb2.DocumentHeader(
        document_id="groemsiel.md", content_type="text/markdown", metadata={"kind": "lighthouse"}
    )
    request = document_service_pb2.CreateDocumentRequest(
        collection=COLLECTION, document=document_pb2.NewDocument(header=header, text=TEXT)
    )
    accepted = documents.CreateDocument(request, timeout=TIMEOUT_SECONDS).accepted
    watch = document_service_pb2.WatchJobRequest(job_id=accepted.job_id)
    job = None
    for event in documents.WatchJob(watch, timeout=TIMEOUT_SECONDS):
        job = event.job
    if job is None or job.state != JobState.JOB_STATE_SUCCEEDED:
        raise SystemExit(f"the document was not indexed: {job}")
    print(f"{accepted.document_id} revision {accepted.revision} can be found.")


def ask(channel: grpc.Channel, question: str) -> None:
    """Print the answer as it is written, then what it rests on."""
    answers = ask_service_pb2_grpc.AskServiceStub(channel)
    request = ask_service_pb2.StreamAnswerRequest(
        ask=ask_service_pb2.AskRequest(collection=COLLECTION, question=question)
    )
    citations = []
    for event in answers.StreamAnswer(request, timeout=TIMEOUT_SECONDS):
        match event.WhichOneof("event"):
            case "delta":
                print(event.delta.text, end="", flush=True)
            case "citation":
                citations.append(event.citation)
            case "finish":
                status = AnswerStatus.Name(event.finish.status)
                print(f"\n{status}, confidence {event.finish.confidence:.2f}")
    for citation in citations:
        print(f"{citation.marker} {citation.document_id}: {citation.quote}")


def reason_of(error: grpc.RpcError) -> str:
    """The stable reason of a refusal, or gRPC's own code when nobody answered."""
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        found = ErrorInfo()
        if detail.Unpack(found):
            return found.reason
    return error.code().name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"))
