"""What an upload costs beside the fsyncs that it makes."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from ragmesh.chassis.files import sync_folder
from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import NewCollection, Upload
from tools.bench.page import NOT_SAID, Goal, Table
from tools.quickstart import running_mesh

ROUNDS = 60
BYTES = 2_048
_LOG_BYTES = 3 * 4_096
"""What a commit of the catalog appends to its write-ahead log, about."""
MOST_TIMES = 3.0
COLLECTION = "uploads"

ABOUT = f"""\
A text of {BYTES:,} bytes is uploaded over gRPC to a mesh that has nothing else to do, and the
four fsyncs that make it durable are made in the same folder by themselves: of a file of that
size, of its folder, of the folder above while that one is new, and of {_LOG_BYTES // 1024} KiB
behind a log. {ROUNDS} pairs in turns; each upload is indexed before the next. Medians of the
pairs."""


async def measure_uploads(_folder: Path | None) -> Table:
    """Both in turns, on the same disk."""
    uploads: list[float] = []
    fsyncs: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="ragmesh-") as folder,
        running_mesh(folder) as address,
        (Path(folder) / "bench.log").open("ab") as log,
    ):
        async with gateway_client(address) as client:
            await client.create_collection(NewCollection(COLLECTION))
            for number in range(ROUNDS + 3):
                taken = await _upload(client, number)
                bare = _fsyncs(Path(folder), log.fileno(), number)
                if number >= 3:  # the first ones warm both up
                    uploads.append(taken)
                    fsyncs.append(bare)
    ratio = statistics.median(ours / bare for ours, bare in zip(uploads, fsyncs, strict=True))
    goals = (
        Goal(
            "an upload of 2 KB, p50",
            _ms(statistics.median(uploads)),
            NOT_SAID,
            None,
            _ms(statistics.median(fsyncs)),
        ),
        Goal("times its fsyncs", f"{ratio:.1f}", "≤ 3", ratio <= MOST_TIMES, "1"),
    )
    return Table("An upload and its fsyncs", ABOUT, goals, beside="fsyncs alone")


async def _upload(client: GatewayClient, number: int) -> float:
    content = f"Text {number}. ".encode().ljust(BYTES, b"a")
    begun = time.perf_counter()
    accepted = await client.create_document(COLLECTION, Upload(content, content_type="text/plain"))
    taken = time.perf_counter() - begun
    async for _ in client.watch_job(accepted.job_id):
        pass
    return taken


def _fsyncs(folder: Path, log: int, number: int) -> float:
    own = folder / f"bench-{number}"
    begun = time.perf_counter()
    own.mkdir()
    sync_folder(folder)
    file = os.open(own / "file", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(file, bytes(BYTES))
    os.fsync(file)
    os.close(file)
    sync_folder(own)
    os.write(log, bytes(_LOG_BYTES))
    os.fdatasync(log)
    return time.perf_counter() - begun


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
