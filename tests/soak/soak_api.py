"""`make soak-api`: generated requests and messages to a mesh, onto docs/reference/bad-input.md.

`make test` sends some of the same to the doors over fakes.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import httpx
from google.protobuf.descriptor import MethodDescriptor

from tests.e2e.meshes import running
from tests.integration.gateway.generated_calls import explore, judge, methods
from tests.soak.pages import write_page

EXAMPLES = 100
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance",
)  # fmt: skip
"""Not those about keys: in developer mode none is asked for. Nor that of methods: PATCH of
`collections/x:repair` is PATCH of a collection with a wrong name, and 400."""
_COUNTED = re.compile(r"^\s*(?P<count>\d[\d,]*) generated", re.MULTILINE)
ABOUT = """\
A mesh in one process in developer mode, with the collection and the document that half of the calls
name. schemathesis reads its OpenAPI description and sends what it allows and what it forbids:
examples, boundaries, random values, and operations on what others answered. Each answer must have a
documented status, media type, header, body and reason, and none may be a 5xx. A generator makes
messages from the descriptors of every public method, cuts, changes and adds bytes, and sends them;
no call may end INTERNAL or UNKNOWN, and every refusal has a reason."""


def requests_to(url: str, folder: Path, examples: int, number: int) -> tuple[int, str]:
    """How many requests schemathesis made, and what it found; empty when nothing."""
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("st"),
            "run",
            f"{url}/openapi.json",
            "--no-color",
            f"--max-examples={examples}",
            f"--seed={number}",
            f"--checks={','.join(CHECKS)}",
            "--continue-on-failure",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    counted = _COUNTED.search(ran.stdout)
    if counted is None:
        raise SystemExit(f"schemathesis does not say what it sent\n{ran.stdout}{ran.stderr}")
    return int(
        counted["count"].replace(",", "")
    ), "" if ran.returncode == 0 else ran.stdout + ran.stderr


def calls_to(address: str, examples: int, number: int) -> Counter[str]:
    """How many calls each method took; AssertionError at the first that ends as a defect."""
    counted: Counter[str] = Counter()
    with asyncio.Runner() as runner:
        channel = grpc.aio.insecure_channel(address)

        def send(method: MethodDescriptor, sent: Sequence[bytes]) -> None:
            counted[method.full_name] += 1
            runner.run(judge(channel, method, sent))

        try:
            explore(send, examples=examples, number=number)
        finally:
            runner.run(channel.close())
    return counted


def main() -> int:
    """1 when anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    examples, number = chosen.examples, chosen.seed
    begun = time.monotonic()
    with TemporaryDirectory(prefix="ragmesh-api-") as folder, running(Path(folder, "data")) as mesh:
        api = f"{mesh.http}/api/v1/collections"
        with httpx.Client() as client:
            client.post(api, json={"name": "handbook"}).raise_for_status()
            leave = {"document_id": "leave.md", "text": "A colleague has 28 days of leave."}
            client.post(f"{api}/handbook/documents?wait=30", json=leave).raise_for_status()
        sent, found = requests_to(mesh.http, Path(folder), examples, number)
        calls = calls_to(mesh.grpc, examples, number)
    print(found)
    rows = (
        ("requests over HTTP", f"{sent:,}", "-"),
        ("answers that nobody promised, or 5xx", "0" if not found else "some", "0"),
        ("calls over gRPC", f"{calls.total():,}, to {len(calls)} methods", f"{len([*methods()])}"),
        ("calls that ended as a defect or without a reason", "0", "0"),
    )
    write_page(
        "bad-input.md",
        "Bad input",
        f"make soak-api EXAMPLES={examples}",
        ABOUT,
        extent=f"Seed {number}, {(time.monotonic() - begun) / 60:.0f} minutes",
        rows=rows,
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
