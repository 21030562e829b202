"""Real parser processes: what a file can do to its own, and not to any other."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docx
import pytest

from ragmesh.core.errors import (
    OutputTooLargeError,
    ParserCrashError,
    ParserMemoryError,
    ParsersBusyError,
    ParserTimeoutError,
    ParserUnavailableError,
    UnsupportedFormatError,
)
from ragmesh.core.reading import ChunkPlan, SourceFile
from ragmesh.indexing.adapters import parser_process
from ragmesh.indexing.adapters.parser_pool import ParserPool, PoolLimits
from ragmesh.indexing.adapters.parser_process import KilledFromOutsideError, ParserProcess
from ragmesh.indexing.parser.confinement import Limits
from ragmesh.indexing.parser.frames import Frame
from ragmesh.indexing.parser.kinds import Family
from tests.integration.indexing.parser.hosting import ATTACK, OBEDIENT
from tests.integration.indexing.parser.processes import is_alive, wait_until
from tests.unit.indexing.parser.samples import pdf, word, word_tokenizer

PLAN = ChunkPlan(word_tokenizer(), 64)
TEXT = SourceFile(b"The ferry leaves at noon. It returns at dusk.", "a.txt")
PDF = SourceFile(pdf([["A page of words."]]), "a.pdf")
HUGE = SourceFile(b"a. " * 3_000_000, "huge.txt")

READY = "import struct,sys,os,time,signal,resource,json\n" + (
    "def send(h,b=b''):\n"
    " h=json.dumps(h).encode();sys.stdout.buffer.write(struct.pack('!II',len(h),len(b))+h+b)\n"
    " sys.stdout.buffer.flush()\n"
    "send({'ready':True,'active':[],'missing':[],'user':'','cost':{}})\n"
)


def children() -> set[int]:
    """Parser processes of this test process that run."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid() and b"ragmesh.indexing.parser" in command:
            found.add(int(entry.name))
    return found


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    async with ParserPool(PoolLimits(size=1)) as opened:
        yield opened


async def test_files_of_every_kind_are_read_and_split(pool: ParserPool) -> None:
    document = docx.Document()
    document.add_heading("Tides", 1)
    document.add_paragraph("The tide turns.")
    page = SourceFile(b"<html><body><h1>Fees</h1><p>Dogs travel free.</p></body></html>")
    for source, words in (
        (TEXT, "returns at dusk"),
        (PDF, "page of words"),
        (SourceFile(word(document)), "tide turns"),
        (page, "travel free"),
        (SourceFile(b"# Deck\n\nWet.\n", "a.md"), "Wet"),
        (SourceFile(b"a,b\n1,2\n", "a.csv"), "a: 1; b: 2"),
    ):
        read = await pool.read(source, PLAN)
        assert words in "".join(chunk.text for chunk in read.chunks)
        assert await pool.split(read.extraction, PLAN) == read.chunks


async def test_the_pool_says_which_walls_stand(pool: ParserPool) -> None:
    confinement = await pool.confinement()
    assert {"own-process", "landlock", "seccomp"} <= set(confinement.active)
    assert confinement.mode == "sealed"


async def test_a_pool_starts_with_one_process_and_texts_share_it(pool: ParserPool) -> None:
    (shared,) = pool._shared
    for _ in range(2):
        await pool.read(TEXT, PLAN)
    assert [process.pid for process in pool._shared] == [shared.pid]
    assert children() == {shared.pid}


async def test_a_pool_that_was_prepared_opens_on_the_process_it_has() -> None:
    pool = ParserPool(PoolLimits(size=1))
    pool.prepare()
    async with pool:
        assert len(children()) == 1
    assert children() == set()


async def test_a_pdf_has_its_own_process_and_the_next_of_its_kind_is_kept_warm(
    pool: ParserPool,
) -> None:
    (shared,) = pool._shared
    await pool.read(PDF, PLAN)
    await asyncio.to_thread(wait_until, lambda: len(children()) == 2)
    (spare,) = children() - {shared.pid}
    await pool.read(PDF, PLAN)
    assert not is_alive(spare)
    assert is_alive(shared.pid)


async def test_a_shared_process_is_replaced_after_its_number_of_documents() -> None:
    async with ParserPool(PoolLimits(size=1, documents_per_process=2)) as pool:
        await pool.read(TEXT, PLAN)
        (shared,) = pool._shared
        await pool.read(TEXT, PLAN)
        assert not is_alive(shared.pid)
        assert (await pool.read(TEXT, PLAN)).chunks


async def test_a_refused_text_leaves_its_process_in_use(pool: ParserPool) -> None:
    (shared,) = pool._shared
    with pytest.raises(UnsupportedFormatError):
        await pool.read(SourceFile(b"\x89PNG\r\n\x1a\n" + b"\x00" * 9), PLAN)
    await pool.read(TEXT, PLAN)
    assert pool._shared == [shared]


async def test_a_file_that_takes_too_long_ends_with_its_process() -> None:
    async with ParserPool(PoolLimits(size=1, wall_seconds=0.3)) as pool:
        (shared,) = pool._shared
        with pytest.raises(ParserTimeoutError):
            await pool.read(HUGE, PLAN)
        assert not is_alive(shared.pid)


async def test_a_file_that_takes_too_much_cpu_is_a_timeout() -> None:
    async with ParserPool(PoolLimits(size=1, document=Limits(cpu_seconds=1))) as pool:
        with pytest.raises(ParserTimeoutError):
            await pool.read(HUGE, PLAN)


async def test_a_large_plain_text_is_given_time_by_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parser_process, "_PROGRAM", (str(OBEDIENT),))
    slow = (
        b"time.sleep(1)\nlimit = resource.getrlimit(resource.RLIMIT_CPU)[0]\n"
        b"text = str(limit - math.ceil(time.process_time()))\n"
    )
    large = SourceFile(slow + b"#" * 1_000_000, ATTACK)
    limits = PoolLimits(size=1, wall_seconds=0.5, document=Limits(cpu_seconds=2))
    async with ParserPool(replace(limits, share_per_megabyte=0.0)) as pool:
        with pytest.raises(ParserTimeoutError):
            await pool.read(large, PLAN)
    async with ParserPool(replace(limits, share_per_megabyte=50.0)) as pool:
        seconds = int((await pool.read(large, PLAN)).extraction.text)
        assert seconds in {102, 103}  # a little more than 51 times as much


async def test_a_file_that_takes_too_much_memory_is_told_apart() -> None:
    limits = Limits(address_space_bytes=96 << 20)
    async with ParserPool(PoolLimits(size=1, document=limits)) as pool:
        with pytest.raises(ParserMemoryError):
            await pool.read(SourceFile(b"word " * 3_000_000, "big.txt"), PLAN)
        assert (await pool.read(TEXT, PLAN)).chunks


async def test_a_process_killed_from_outside_costs_its_file_nothing(pool: ParserPool) -> None:
    (shared,) = pool._shared
    reading = asyncio.ensure_future(pool.read(SourceFile(b"One. " * 60_000, "long.txt"), PLAN))
    await asyncio.to_thread(wait_until, lambda: shared.documents == 1)
    os.kill(shared.pid, signal.SIGKILL)
    assert len((await reading).chunks) > 100


async def test_a_cancelled_read_ends_its_process_and_frees_its_place(pool: ParserPool) -> None:
    (shared,) = pool._shared
    reading = asyncio.ensure_future(pool.read(HUGE, PLAN))
    await asyncio.to_thread(wait_until, lambda: shared.documents == 1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not is_alive(shared.pid)
    assert (await pool.read(TEXT, PLAN)).chunks


async def test_a_file_waits_a_bounded_time_in_a_bounded_queue() -> None:
    async with ParserPool(PoolLimits(size=1, queue_seconds=0.05, queue_files=1)) as pool:
        (shared,) = pool._shared
        reading = asyncio.ensure_future(pool.read(HUGE, PLAN))
        await asyncio.to_thread(wait_until, lambda: shared.documents == 1)
        waiting = asyncio.gather(
            pool.read(TEXT, PLAN), pool.read(TEXT, PLAN), return_exceptions=True
        )
        first, second = await waiting
        assert {type(first), type(second)} == {ParsersBusyError}
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_closing_ends_every_process_also_in_the_middle_of_a_file() -> None:
    async with ParserPool(PoolLimits(size=2)) as pool:
        (shared,) = pool._shared
        reading = asyncio.ensure_future(pool.read(HUGE, PLAN))
        await asyncio.to_thread(wait_until, lambda: shared.documents == 1)
        assert children()
    assert children() == set()
    with pytest.raises((ParserMemoryError, ParserUnavailableError)):
        await reading


# --- a process that is not what it should be ---


def imposter(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Make every parser process run this instead."""
    real = subprocess.Popen

    def popen(_command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        made: subprocess.Popen[bytes] = real([sys.executable, "-I", "-c", code], **options)
        return made

    monkeypatch.setattr(subprocess, "Popen", popen)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", ParserCrashError),
        ("sys.exit(3)", ParserCrashError),
        ("os._exit(86)", ParserMemoryError),
        ("os.kill(os.getpid(), signal.SIGXCPU)", ParserTimeoutError),
        ("os.kill(os.getpid(), signal.SIGKILL)", KilledFromOutsideError),
        ("os.close(1); time.sleep(60)", ParserCrashError),
    ],
)
def test_every_death_has_its_cause(
    monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception]
) -> None:
    imposter(monkeypatch, f"{READY}\nsys.stdin.buffer.read(1)\n{code}")
    monkeypatch.setattr(parser_process, "_ENDING_SECONDS", 0.2)
    process = ParserProcess(Family.TEXTS, Limits())
    try:
        process.wait_ready(10)
        with pytest.raises(error):
            process.exchange(Frame({"operation": "read"}, b"x"), 2)
    finally:
        process.end()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("sys.stdout.buffer.write(b'\\xff' * 64); sys.stdout.flush()", OutputTooLargeError),
        ("send([])", ParserCrashError),
        ("send({'extraction': 5}, b'{}[]')", ParserCrashError),
        ("send({'reason': 'NO_SUCH', 'message': '', 'metadata': {}})", ParserCrashError),
    ],
)
async def test_a_forged_answer_is_never_believed(
    monkeypatch: pytest.MonkeyPatch, answer: str, error: type[Exception]
) -> None:
    skip = (
        "def skip():\n"
        " a,b=struct.unpack('!II',sys.stdin.buffer.read(8));sys.stdin.buffer.read(a+b)\n"
    )
    imposter(monkeypatch, f"{READY}{skip}skip(); send({{}})\nskip()\n{answer}\ntime.sleep(60)")
    async with ParserPool(PoolLimits(size=1, wall_seconds=5)) as pool:
        with pytest.raises(error):
            await pool.read(TEXT, PLAN)


async def test_a_process_that_does_not_start_blames_no_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imposter(monkeypatch, "raise SystemExit(1)")
    with pytest.raises(ParserUnavailableError):
        async with ParserPool(PoolLimits(size=1)):
            pytest.fail("a pool without processes opened")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_killing_the_parent_ends_its_parsers_at_once() -> None:
    code = (
        "import asyncio\n"
        "from ragmesh.indexing.adapters.parser_pool import ParserPool, PoolLimits\n"
        "async def main():\n"
        "    async with ParserPool(PoolLimits(size=2)) as pool:\n"
        "        await pool.confinement()\n"
        "        print(*[process.pid for process in pool._alive], flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert pids
        assert all(map(is_alive, pids))
        parent.kill()
        parent.wait()
    assert wait_until(lambda: not any(map(is_alive, pids))) < 1.0
