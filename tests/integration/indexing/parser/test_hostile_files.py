"""What a file does to its parser ends in a reason within its time, and reaches no other file."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from ragmesh.core.errors import (
    HostileFileError,
    OutputTooLargeError,
    ParserCrashError,
    ParserMemoryError,
    ParserTimeoutError,
)
from ragmesh.core.reading import ChunkPlan, SourceFile
from ragmesh.indexing.adapters import parser_process
from ragmesh.indexing.adapters.parser_pool import ParserPool, PoolLimits
from ragmesh.indexing.parser.confinement import Limits
from tests.integration.indexing.parser.hosting import ATTACK, OBEDIENT
from tests.integration.indexing.parser.processes import is_alive
from tests.unit.indexing.parser.samples import pdf, word_tokenizer

PLAN = ChunkPlan(word_tokenizer(), 64)
PDF = SourceFile(pdf([["A page of words."]]), "a.pdf")
TEXT = SourceFile(b"The ferry leaves at noon. It returns at dusk.", "a.txt")
MEMORY = 256 << 20
LIMITS = PoolLimits(
    size=2, wall_seconds=5.0, document=Limits(cpu_seconds=3, address_space_bytes=MEMORY)
)
SHORT = PoolLimits(size=2, wall_seconds=2.0, document=Limits(cpu_seconds=1))

HANGS = {
    "computes": "while True: pass",
    "sleeps": "time.sleep(600)",
    "sleeps through every signal": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
    "time.sleep(600)",
    "ignores the end of its processor time": "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
    "while True: pass",
    "gives itself processor time": "hard = resource.getrlimit(resource.RLIMIT_CPU)[1]\n"
    "resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))\nwhile True: pass",
}
DEATHS = {
    "reads where nothing is": ("ctypes.string_at(1)", ParserCrashError),
    "aborts": ("os.abort()", ParserCrashError),
    "ends as if all were well": ("os._exit(0)", ParserCrashError),
    "recurses in C": (
        "nest = ()\nfor _ in range(10**6): nest = (nest,)\nhash(nest)",
        ParserCrashError,
    ),
    "asks for one block": ("bytearray(1 << 40)", ParserMemoryError),
    "eats": ("kept = []\nwhile True: kept.append(bytes(1 << 20))", ParserMemoryError),
    "eats in C": (
        "malloc = ctypes.CDLL(None).malloc\nmalloc.restype = ctypes.c_void_p\nwhile True:\n"
        "    ctypes.memset(malloc(ctypes.c_size_t(1 << 20)), 1, 1 << 20)",
        ParserCrashError,
    ),
    "writes nonsense into the pipe": (
        "for pipe in range(3, 16):\n    try: os.write(pipe, b'\\xff' * 64)\n"
        "    except OSError: pass\ntime.sleep(600)",
        OutputTooLargeError,
    ),
    "tells too much": ("text = 'word ' * 7_000_000", OutputTooLargeError),
}


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ParserPool]:
    """Parsers that do what an attack says, with short limits."""
    monkeypatch.setattr(parser_process, "_PROGRAM", (str(OBEDIENT),))
    async with ParserPool(LIMITS) as opened:
        yield opened


def attack(code: str) -> SourceFile:
    """A file that a fallen parser obeys."""
    return SourceFile(code.encode(), ATTACK)


async def endings(pool: ParserPool, sources: Iterable[SourceFile]) -> list[Any]:
    """What becomes of files that are read at the same time: each a document or its refusal."""
    return await asyncio.gather(*(pool.read(s, PLAN) for s in sources), return_exceptions=True)


async def test_a_file_that_hangs_its_parser_is_refused_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parser_process, "_PROGRAM", (str(OBEDIENT),))
    async with ParserPool(SHORT) as pool:
        found = await endings(pool, map(attack, HANGS.values()))
        assert dict(zip(HANGS, map(type, found), strict=True)) == dict.fromkeys(
            HANGS, ParserTimeoutError
        )
        assert (await pool.read(TEXT, PLAN)).chunks


async def test_a_file_that_takes_its_parser_down_is_refused_with_the_reason(
    pool: ParserPool,
) -> None:
    found = await endings(pool, (attack(code) for code, _ in DEATHS.values()))
    assert dict(zip(DEATHS, map(type, found), strict=True)) == {
        name: error for name, (_, error) in DEATHS.items()
    }
    assert (await pool.read(TEXT, PLAN)).chunks


async def test_what_one_file_does_reaches_no_other(pool: ParserPool) -> None:
    attacks = [
        *(attack(DEATHS[name][0]) for name in ("aborts", "eats", "tells too much")),
        attack(HANGS["computes"]),
        attack("os.kill(os.getppid(), 9)"),
    ]
    alone = {source: await pool.read(source, PLAN) for source in (TEXT, PDF)}
    mixed = [source for hostile in attacks for source in (TEXT, hostile, PDF)]
    for source, ending in zip(mixed, await endings(pool, mixed), strict=True):
        if source in alone:
            assert ending == alone[source]
    assert all(is_alive(process.pid) for process in pool._shared)


async def test_what_a_parser_should_have_loaded_before_is_told_once(
    pool: ParserPool, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await pool.read(attack("try: import wsgiref\nexcept ImportError: pass"), PLAN)
    told = [record for record in caplog.records if "was not warmed up" in record.message]
    assert [record.__dict__["needs"] for record in told] == ["wsgiref"]


def bomb(entries: dict[str, bytes]) -> SourceFile:
    """A DOCX that is small until it is unpacked."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, content in entries.items():
            archive.writestr(name, content)
    return SourceFile(packed.getvalue(), "bomb.docx")


LAUGHS = (
    "<?xml version='1.0'?><!DOCTYPE w [<!ENTITY l0 'ha'>"
    + "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    + "]><w:document xmlns:w='w'>&l9;</w:document>"
).encode()
OUTSIDE = (
    b"<?xml version='1.0'?><!DOCTYPE w [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
    b"<w:document xmlns:w='w'>&x;</w:document>"
)


async def test_bombs_are_refused_before_they_take_memory() -> None:
    bombs = [
        bomb({"word/document.xml": LAUGHS}),
        bomb({"word/document.xml": OUTSIDE}),
        bomb({"word/document.xml": b" " * 70_000_000}),
        bomb({f"word/media/{n}.png": b"\0" * 30_000_000 for n in range(9)}),
    ]
    assert all(len(source.content) < 2_000_000 for source in bombs)
    little = Limits(address_space_bytes=256 << 20)
    async with ParserPool(PoolLimits(size=1, document=little)) as pool:
        assert {type(ending) for ending in await endings(pool, bombs)} == {HostileFileError}
