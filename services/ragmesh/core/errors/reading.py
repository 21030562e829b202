"""Causes that end the reading of a document, and so its job; the last two pass by themselves."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    ExhaustedError,
    InvalidError,
    UnavailableError,
)


class UnsupportedFormatError(InvalidError):
    """No parser reads this kind of file; the message says what to convert it to."""

    reason = "UNSUPPORTED_FORMAT"


class EncryptedFileError(InvalidError):
    """The file needs a password."""

    reason = "ENCRYPTED"


class UnreadableFileError(InvalidError):
    """The file is damaged or is not what its content claims to be."""

    reason = "UNREADABLE"


class HostileFileError(InvalidError):
    """The file uses a construct that is only used to attack parsers."""

    reason = "HOSTILE_FILE"


class NoTextError(InvalidError):
    """The file was read and holds no text (a scan, for example)."""

    reason = "NO_TEXT"


class ParserTimeoutError(InvalidError):
    """Reading the file took more time than a parser is given."""

    reason = "PARSER_TIMEOUT"


class ParserMemoryError(InvalidError):
    """Reading the file took more memory than a parser is given."""

    reason = "PARSER_MEMORY"


class ParserCrashError(InvalidError):
    """The parser process died on this file."""

    reason = "PARSER_CRASH"


class OutputTooLargeError(InvalidError):
    """The extracted text is larger than a parser may return."""

    reason = "OUTPUT_TOO_LARGE"


class ParsersBusyError(ExhaustedError):
    """Every parser is at work and the queue before them is full or slow; retry later."""

    reason = "PARSERS_BUSY"


class ParserUnavailableError(UnavailableError):
    """A parser process could not be started; nothing is known about the file."""

    reason = "PARSER_UNAVAILABLE"
