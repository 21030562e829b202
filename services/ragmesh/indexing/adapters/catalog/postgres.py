"""The catalog in a PostgreSQL database: the only place that knows how one is reached.

Connections are made here and not by SQLAlchemy, so that each reads the password anew and a
changed one needs no restart. Whatever a server can do wrong becomes one of a few errors.
"""

from __future__ import annotations

import ssl

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ragmesh.core.errors import (
    ConflictError,
    ExhaustedError,
    StorageFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from ragmesh.indexing.adapters.catalog.places import PostgresPlace, Tls

DriverError = AsyncAdapt_asyncpg_dbapi.Error
_RETRY_SECONDS = 1.0
_AGAIN = frozenset({"40001", "40P01", "55P03", "23505"})
"""Serialization, deadlock, a lock that was not had, and a row that somebody else wrote first."""
_REFUSED = frozenset({"28000", "28P01", "3D000", "42501"})
_FULL = frozenset({"53100"})
_CROWDED = frozenset({"53300"})
_TOO_LONG = frozenset({"57014"})
_AWAY = ("08", "57P", "25006", "25P03", "53", "58")
"""How codes begin that speak of the server or the connection, not of a statement."""
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The last is what the driver says when a connection ends just as it is used."""


async def connect(place: PostgresPlace) -> asyncpg.Connection:
    """One connection of its own."""
    milliseconds = str(int(place.statement_seconds * 1_000))
    return await asyncpg.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=_password(place),
        database=place.database,
        timeout=place.connect_seconds,
        ssl=False if place.tls is None else _tls_context(place.tls),
        server_settings={
            "application_name": place.application,
            "statement_timeout": milliseconds,
            "lock_timeout": milliseconds,
            # A process that stands still in a transaction must not hold its rows for ever.
            "idle_in_transaction_session_timeout": milliseconds,
        },
    )


def engine_of(place: PostgresPlace) -> AsyncEngine:
    """A pool of connections that are made when they are needed."""

    async def creator() -> asyncpg.Connection:
        return await connect(place)

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=creator,
        pool_size=place.connections,
        max_overflow=0,
        pool_timeout=place.statement_seconds,
    )


def _tls_context(tls: Tls) -> ssl.SSLContext:
    """For one connection: files that were replaced are read anew."""
    try:
        made = ssl.create_default_context(cafile=tls.ca_file)
        if tls.certificate_file is not None:
            made.load_cert_chain(tls.certificate_file, tls.key_file)
    except OSError as error:  # which SSLError is, too
        raise StoreRefusedError(
            f"the files of catalog.tls_* cannot be used: {error.strerror or error}"
        ) from error
    return made


def _password(place: PostgresPlace) -> str | None:
    if place.password_file is None:
        return None
    try:
        return place.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreRefusedError(
            f"catalog.password_file {place.password_file} cannot be read"
        ) from error


def sqlstate_of(error: BaseException) -> str:
    """PostgreSQL's code of what went wrong; empty where the server said nothing."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(cause, "sqlstate", None) or "")


def may_succeed_again(error: BaseException) -> bool:
    """Whether nothing was kept and the same transaction may pass: others came in between."""
    return sqlstate_of(error) in _AGAIN


def is_away(error: BaseException) -> bool:
    """Whether the connection was lost or never made, and another one may do."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    code = sqlstate_of(error)
    return code.startswith(_AWAY) if code else isinstance(_cause_of(error), _LOST)


def mesh_error(error: Exception, place: PostgresPlace) -> Exception:
    """What the error means to a caller; errors of the domain and defects stay what they are."""
    code = sqlstate_of(error)
    if code in _REFUSED:
        return StoreRefusedError(
            f"{place} refuses: {_said(error)}", retry_after_seconds=_RETRY_SECONDS
        )
    if code in _FULL:
        return StorageFullError("the disk of the catalog's server is full; nothing was kept")
    if code in _CROWDED or isinstance(error, PoolTimeoutError):
        return ExhaustedError(
            f"no connection to {place} is free; see catalog.connections",
            retry_after_seconds=_RETRY_SECONDS,
        )
    if code in _AGAIN:
        return ConflictError("too many change the same at once; try again")
    if code in _TOO_LONG:
        return _unavailable(f"a statement at {place} took too long")
    if is_away(error):
        return _unavailable(f"{place} cannot be reached: {_said(error)}")
    return error


def _unavailable(message: str) -> StoreUnavailableError:
    return StoreUnavailableError(message, retry_after_seconds=_RETRY_SECONDS)


def _said(error: BaseException) -> str:
    """The cause in its own words; details and hints of a server follow on other lines."""
    cause = _cause_of(error)
    sentence, *_ = str(cause).splitlines() or [""]
    return " ".join(sentence.split()) or type(cause).__name__


def _cause_of(error: BaseException) -> BaseException:
    """The driver's own error, below what SQLAlchemy makes of it."""
    while isinstance(error, DBAPIError | DriverError) and error.__cause__ is not None:
        error = error.__cause__
    return error
