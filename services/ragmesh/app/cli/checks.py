"""Looks at what a mesh needs of this machine, without starting one; each look is one finding."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

from ragmesh.app.cli.dependencies import dependencies
from ragmesh.app.cli.findings import Finding, State
from ragmesh.app.cli.servers import servers
from ragmesh.app.cli.surroundings import SERVER_VARIABLE, Surroundings
from ragmesh.app.modules.refusals import refuse_held
from ragmesh.app.modules.tls import shown_certificates
from ragmesh.app.settings import Settings
from ragmesh.chassis.addresses import Address, bound_socket
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.tls.certificates import CertificateFiles
from ragmesh.core.errors import (
    DeadlineError,
    PortInUseError,
    RagmeshError,
    StoreInUseError,
    StoreUnusableError,
    UnavailableError,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.reading import Sandbox
from ragmesh.embedding.adapters.manifest import read_checked_manifest
from ragmesh.embedding.settings import EncoderSettings
from ragmesh.indexing.adapters.parser_pool import ParserPool, PoolLimits

_LITTLE_ROOM_BYTES = 1_000_000_000
_LITTLE_TIME_SECONDS = 2 * 86_400
_PATIENCE_SECONDS = 5.0


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Everything that `ragmesh run` needs with these settings."""
    yield _data_directory(settings.data_dir)
    in_use = stores_in_use(settings)
    yield _stores(in_use)
    for address in (settings.gateway.http, settings.gateway.grpc):
        yield _port(address, mesh_runs=isinstance(in_use, StoreInUseError))
    for subject, files, name in shown_certificates(settings):
        yield await asyncio.to_thread(_certificate, subject, files, name)
    for encoder in settings.embedding.encoders:
        if encoder.endpoint is None:
            yield await asyncio.to_thread(_model, encoder)
    async for finding in servers(settings):
        yield finding
    async for finding in dependencies(settings):
        yield finding
    yield await _parsers(settings.indexing.sandbox)


async def reach(surroundings: Surroundings, address: str, *, wanted: bool) -> Finding:
    """Whether a mesh answers at a gRPC address; one that nobody asked for may be away."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), surroundings.mesh(address) as mesh:
            await mesh.list_collections(PageRequest(size=1))
    except (UnavailableError, DeadlineError, TimeoutError):
        message = f"no mesh answers at {address}; `ragmesh run` starts one"
        if not wanted:
            return Finding("mesh", State.NOTE, message)
        message = f"{message}, --server or {SERVER_VARIABLE} names another"
        return Finding("mesh", State.FAILED, message, UnavailableError.reason)
    except RagmeshError as error:
        return Finding.of("mesh", error)
    return Finding("mesh", State.OK, f"answers at {address}")


def _data_directory(folder: Path) -> Finding:
    subject = "data directory"
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        message = f"{existing} cannot be written; choose another folder with --data-dir"
        return Finding(subject, State.FAILED, message, StoreUnusableError.reason)
    free = shutil.disk_usage(existing).free
    room = f"{free / 1e9:.1f} GB free"
    if free < _LITTLE_ROOM_BYTES:
        return Finding(subject, State.NOTE, f"{folder} has little room left: {room}")
    will_be = "" if existing == folder else " and will be made"
    return Finding(subject, State.OK, f"{folder} can be written{will_be}, {room}")


def stores_in_use(settings: Settings) -> RagmeshError | None:
    """Why the first of the stores that cannot be opened cannot; mostly a mesh runs on it."""
    index = settings.index_path
    stores = (settings.catalog_path, settings.events_path, index and index / "index")
    for store in filter(None, stores):
        try:
            refuse_held(store)
        except RagmeshError as error:
            return error
    return None


def _stores(refusal: RagmeshError | None) -> Finding:
    if refusal is None:
        return Finding("stores", State.OK, "no other process uses them")
    if isinstance(refusal, StoreInUseError):
        return Finding("stores", State.NOTE, refusal.message, refusal.reason)
    return Finding.of("stores", refusal)


def _port(address: str, *, mesh_runs: bool) -> Finding:
    subject = f"port {address}"
    try:
        bound_socket(Address.parse(address)).close()
    except PortInUseError as error:
        if mesh_runs:
            return Finding(subject, State.OK, "in use, as the stores are: a mesh runs here")
        return Finding.of(subject, error)
    except RagmeshError as error:
        return Finding.of(subject, error)
    return Finding(subject, State.OK, "free")


def _certificate(subject: str, files: CertificateFiles, name: str | None) -> Finding:
    now = SystemClock().now()
    try:
        found = files.read(now=now, name=name)
    except RagmeshError as error:
        return Finding.of(subject, error)
    left = found.seconds_left(now)
    message = f"{', '.join(found.names)}, until {found.expires:%Y-%m-%d %H:%M} UTC"
    if left < _LITTLE_TIME_SECONDS:
        return Finding(
            subject, State.NOTE, f"{message}: renew it, {left / 3_600:.0f} hours are left"
        )
    return Finding(subject, State.OK, f"{message}, {left / 86_400:.0f} days left")


def _model(encoder: EncoderSettings) -> Finding:
    subject = f"model {encoder.name}"
    try:
        manifest = read_checked_manifest(encoder.folder)
    except RagmeshError as error:
        return Finding.of(subject, error)
    return Finding(subject, State.OK, f"{manifest.dimension} dimensions, whole in {encoder.folder}")


async def _parsers(sandbox: Sandbox) -> Finding:
    pool = ParserPool(PoolLimits(size=1), sandbox=sandbox)
    async with AsyncExitStack() as stack:
        stack.push_async_exit(pool)  # entering it would start a parser more
        try:
            confinement = await pool.confinement()
        except RagmeshError as error:
            return Finding.of("parsers", error)
    active = f"as {confinement.user}, with {', '.join(confinement.active)}"
    if confinement.missing:
        missing = ", ".join(map(str, confinement.missing))
        message = f"confined as well as can be: {active}; without {missing}"
        return Finding("parsers", State.NOTE, message)
    cost = confinement.cost
    took = (
        f"a process takes {cost.total_ms:.0f} ms to start, {cost.walls_ms:.1f} of them for its"
        f" walls, and {cost.resident_bytes / 1e6:.0f} MB"
    )
    return Finding("parsers", State.OK, f"sealed: {active}; {took}")
