"""Forms are taken whole or not at all, and what they say is UTF-8."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import pytest

from ragmesh.chassis.executors import Executor, executor
from ragmesh.core.errors import (
    BatchTooLargeError,
    FormBrokenError,
    InvalidError,
    NotUtf8Error,
    StorageFullError,
)
from ragmesh.gateway.adapters.rest.forms import SPOOL_BYTES, Form, FormBounds, read_form
from tests.forms import END, ONE, TYPE, part

BOUNDS = FormBounds(frozenset({"metadata", "access"}), field_bytes=100, file_bytes=3 * SPOOL_BYTES)


@pytest.fixture
async def pool() -> AsyncIterator[Executor]:
    async with executor("forms", 1) as opened:
        yield opened


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for begin in range(0, len(body), size):
        yield body[begin : begin + size]


async def read(body: bytes, pool: Executor, *, size: int = 7, content_type: str = TYPE) -> Form:
    async with read_form(content_type, pieces(body, size), BOUNDS, pool) as form:
        return form


def _full_disk(**_options: object) -> BinaryIO:
    return Path("/dev/full").open("w+b")


async def test_a_form_that_finds_no_room_on_the_disk_is_told_so(
    pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", _full_disk)
    body = part(b"file", b"x" * (SPOOL_BYTES + 1), b"a.txt") + END
    with pytest.raises(StorageFullError):
        await read(body, pool, size=65_536)

    async def content() -> bytes:  # the disk says it only when the last of it is written
        async with read_form(TYPE, pieces(body, 1_000_000), BOUNDS, pool) as form:
            return form.files[0].read()

    with pytest.raises(StorageFullError):
        await content()


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_form_is_the_same_however_it_is_cut(pool: Executor, size: int) -> None:
    body = ONE + part(b"metadata", '{"a": "ü"}'.encode()) + part(b"file", b"\r\n--A\r", b"b") + END
    async with read_form(TYPE, pieces(body, size), BOUNDS, pool) as form:
        assert form.fields == {"metadata": '{"a": "ü"}'}
        assert [(file.filename, file.size) for file in form.files] == [("a.txt", 3), ("b", 6)]
        assert [file.read() for file in form.files] == [b"one", b"\r\n--A\r"]


@pytest.mark.parametrize(
    "body",
    [
        ONE,
        ONE + ONE,
        ONE[:-1],
        ONE + b"--B",
        ONE + b"--B-",
        ONE + b"--B\r\n",
        ONE + ONE[:40],
        b"",
        b"no form",
        END[:3],
    ],
)
async def test_a_form_that_breaks_off_is_refused_whole(pool: Executor, body: bytes) -> None:
    with pytest.raises(FormBrokenError):
        await read(body, pool)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"{TYPE}{'x' * 80}"],
)
async def test_a_form_without_a_boundary_is_refused(pool: Executor, content_type: str) -> None:
    with pytest.raises(FormBrokenError):
        await read(ONE + END, pool, content_type=content_type)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (part(b"file", b"one", b"\xff\xfe.txt"), "filename"),
        (part(b"metadata", b'{"a": "\xff"}'), "metadata"),
        (part(b"\xff", b"x"), "form"),
    ],
    ids=["file name", "text", "name of a field"],
)
async def test_what_is_not_utf_8_is_refused(pool: Executor, body: bytes, field: str) -> None:
    with pytest.raises(NotUtf8Error) as caught:
        await read(ONE + body + END, pool)
    assert [one.field for one in caught.value.violations] == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (part(b"title", b"x"), "title"),
        (part(b"metadata", b"{}") * 2, "metadata"),
        (part(b"metadata", b"x" * 101), "metadata"),
        (part(b"file", b"no name"), "file"),
        (part(b"metadata", b"{}", b"a.json"), "metadata"),
    ],
    ids=["unknown", "twice", "too long", "file without a name", "file in another field"],
)
async def test_a_form_holds_its_fields_and_nothing_else(
    pool: Executor, body: bytes, field: str
) -> None:
    with pytest.raises(InvalidError, match=re.escape(field)):
        await read(ONE + body + END, pool)


async def test_too_many_files_are_refused_before_the_rest_is_read(pool: Executor) -> None:
    read_on = False

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read_on
        yield ONE * 1_001
        read_on = True

    with pytest.raises(BatchTooLargeError):
        async with read_form(TYPE, endless(), BOUNDS, pool):
            pass
    assert not read_on


async def test_a_large_file_waits_on_disk_and_comes_back_whole(pool: Executor) -> None:
    content = bytes(range(256)) * (SPOOL_BYTES // 128)
    body = part(b"file", content, b"big.bin") + END
    async with read_form(TYPE, pieces(body, 65_536), BOUNDS, pool) as form:
        (file,) = form.files
        assert file.is_spooled
        assert file.read() == content


async def test_what_is_above_the_bound_is_counted_and_not_kept(pool: Executor) -> None:
    content = b"x" * (BOUNDS.file_bytes + 100_000)
    body = part(b"file", content, b"big.bin") + ONE + END
    async with read_form(TYPE, pieces(body, 65_536), BOUNDS, pool) as form:
        big, small = form.files
        assert big.size == len(content)
        assert len(big.read()) <= BOUNDS.file_bytes
        assert small.read() == b"one"
