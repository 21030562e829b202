"""multipart/form-data, read strictly: a form that breaks off is refused, never taken for whole.

Parts of files are spooled to disk above a size. Names and texts are UTF-8 or refused; a reader
that guesses another encoding would store what nobody sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ragmesh.chassis.executors import Executor
from ragmesh.chassis.files import storage_errors
from ragmesh.core.errors import FormBrokenError, InvalidError, NotUtf8Error, Violation
from ragmesh.gateway.parsing import refuse_count

SPOOL_BYTES = 1024 * 1024
"""A file with more bytes waits on disk until the whole form has come."""
_HEADER_BYTES = 64 * 1024
"""Longest header line of a part; a name of 5,000 characters is to be refused as a name."""
_HEADERS = 16
_BOUNDARY_BYTES = 70


@dataclass(frozen=True, slots=True)
class FormBounds:
    """What a form may hold besides its files."""

    fields: frozenset[str]
    """Names of the texts that may come, each at most once."""
    field_bytes: int
    file_bytes: int
    """Content above this is counted, not kept."""


def _spool() -> SpooledTemporaryFile[bytes]:
    return SpooledTemporaryFile(SPOOL_BYTES)


@dataclass(slots=True)
class FormFile:
    """A file of a form; `size` tells its bytes, also those above the bound that were not kept."""

    filename: str
    content_type: str
    size: int = 0
    _file: SpooledTemporaryFile[bytes] = field(default_factory=_spool)

    @property
    def is_spooled(self) -> bool:
        """Whether its bytes are on disk, so that reading and writing may wait for it."""
        return self.size > SPOOL_BYTES

    def write(self, piece: bytes) -> None:
        """Keep the next piece."""
        with self._disk():
            self._file.write(piece)

    def read(self) -> bytes:
        """The whole content."""
        with self._disk():  # some of it may not have been written yet
            self._file.seek(0)
            return self._file.read()

    def close(self) -> None:
        """Forget the content; what finds no room on the disk is not needed any more."""
        with suppress(OSError):
            self._file.close()

    def _disk(self) -> AbstractContextManager[None]:
        """Says when there is no room for what goes to the disk; without one it is not asked for."""
        return storage_errors(Path(gettempdir(), "spooled")) if self.is_spooled else nullcontext()


@dataclass(slots=True)
class Form:
    """A form that came to its end."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[FormFile] = field(default_factory=list)


@asynccontextmanager
async def read_form(
    content_type: str, pieces: AsyncIterable[bytes], bounds: FormBounds, pool: Executor
) -> AsyncIterator[Form]:
    """The form, for the time of the block; FormBrokenError when it is malformed or breaks off."""
    reading = _Reading(bounds)
    try:
        parser = _parser(content_type, reading)
        async for piece in pieces:
            try:
                parser.write(piece)
            except FormParserError as error:
                raise FormBrokenError("the form is malformed") from error
            await reading.keep(pool)
        if not reading.ended:
            raise FormBrokenError("the form breaks off before its last boundary")
        yield reading.form
    finally:
        for file in reading.form.files:
            file.close()


def _parser(content_type: str, reading: _Reading) -> MultipartParser:
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _BOUNDARY_BYTES:
        raise FormBrokenError("the content-type of the form names no boundary that can be one")
    return MultipartParser(
        boundary, reading.callbacks(), max_header_count=_HEADERS, max_header_size=_HEADER_BYTES
    )


class _Reading:
    """What has come of a form so far; the parser calls back with every piece."""

    def __init__(self, bounds: FormBounds) -> None:
        self.form = Form()
        self.ended = False
        self._bounds = bounds
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._field = ""
        self._text = b""
        self._file: FormFile | None = None
        self._unkept: list[tuple[FormFile, bytes]] = []

    def callbacks(self) -> Any:
        """By the parser's names."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._piece_of("_header_name"),
            "on_header_value": self._piece_of("_header_value"),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._take,
            "on_part_end": self._end,
            "on_end": self._end_form,
        }

    async def keep(self, pool: Executor) -> None:
        """Write what the last piece brought; what goes to disk does so in a thread."""
        waiting, self._unkept = self._unkept, []
        for file, piece in waiting:
            if file.is_spooled:
                await pool.run(file.write, piece)
            else:
                file.write(piece)

    def _piece_of(self, name: str) -> Callable[[bytes, int, int], None]:
        def add(data: bytes, start: int, end: int) -> None:
            setattr(self, name, getattr(self, name) + data[start:end])

        return add

    def _begin(self) -> None:
        self._headers = {}
        self._file = None
        self._text = b""

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise FormBrokenError("a part of the form has no name")
        self._field = _utf8(options[b"name"], "form")
        if b"filename" not in options:
            self._refuse_field()
            return
        if self._field != "file":
            raise InvalidError.of(self._field[:80], "is not a field for files")
        refuse_count(len(self.form.files) + 1, field="file")
        self._file = FormFile(
            filename=_utf8(options[b"filename"], "filename"),
            content_type=_utf8(self._headers.get(b"content-type", b""), "content_type"),
        )
        self.form.files.append(self._file)

    def _refuse_field(self) -> None:
        if self._field == "file":
            raise InvalidError.of("file", "must be a file with a name")
        if self._field not in self._bounds.fields:
            raise InvalidError.of(self._field[:80], "is not a field of this form")
        if self._field in self.form.fields:
            raise InvalidError.of(self._field, "must be one text")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.size += end - start
            if self._file.size <= self._bounds.file_bytes:
                self._unkept.append((self._file, data[start:end]))
            return
        self._text += data[start:end]
        if len(self._text) > self._bounds.field_bytes:
            raise InvalidError.of(
                self._field, f"must have at most {self._bounds.field_bytes} bytes"
            )

    def _end(self) -> None:
        if self._file is None:
            self.form.fields[self._field] = _utf8(self._text, self._field)

    def _end_form(self) -> None:
        self.ended = True


def _utf8(text: bytes, name: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        message = "must be UTF-8"
        raise NotUtf8Error(f"{name} {message}", violations=[Violation(name, message)]) from None
