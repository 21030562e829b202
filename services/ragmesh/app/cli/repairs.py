"""What `ragmesh doctor --repair` does and says: stores at rest by itself, else a running mesh."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ragmesh.app.cli.checks import stores_in_use
from ragmesh.app.cli.findings import Finding, State
from ragmesh.app.cli.paging import each
from ragmesh.app.cli.surroundings import Surroundings
from ragmesh.app.repairing import Report, repair_stores
from ragmesh.app.settings import Settings
from ragmesh.core.errors import RagmeshError, StoreDamagedError, StoreInUseError, UnavailableError

if TYPE_CHECKING:
    from ragmesh.indexing.repairs import Repairs

DONE: Mapping[str, str] = MappingProxyType(
    {
        "relayed": "waiting documents put to work",
        "made": "index versions made anew from the stored texts",
        "dropped": "index versions of deleted collections dropped",
        "rewritten": "documents written again whose chunks were missing or wrong",
        "removed_chunks": "chunks removed that nothing names",
        "removed_blobs": "stored files removed that nothing names",
        "reread": "damaged texts extracted again from their files",
        "erased": "deleted documents erased, their time was over",
        "forgotten": "ended jobs and dead letters forgotten, their time was over",
    }
)
"""What was repaired, by what the reconciler counts."""
_TIMELY = frozenset({"erased", "forgotten"})
"""What becomes due with time, and is no difference."""
TOLD: Mapping[str, str] = MappingProxyType(
    {
        "failed": "documents FAILED whose stored file is missing or damaged, to be uploaded again",
        "lost": "earlier revisions that have lost their stored file and cannot be read or restored",
        "skipped": "index versions that could not be looked at, as the log tells",
    }
)
"""What cannot be repaired from here."""


async def repair(
    surroundings: Surroundings, settings: Settings, address: str
) -> AsyncIterator[Finding]:
    """Repair, and say what was done; a mesh that runs on the stores is asked to do it."""
    places = (settings.catalog_place, settings.blobs_place)
    if not any(not isinstance(place, Path) or place.exists() for place in places):
        yield Finding("repair", State.OK, "nothing is stored yet")
        return
    if isinstance(stores_in_use(settings), StoreInUseError):
        async for finding in _repair_running(surroundings, address):
            yield finding
        return
    try:
        report = await repair_stores(settings)
    except RagmeshError as error:
        yield Finding.of("repair", error)
        return
    for finding in findings_of(report):
        yield finding


def findings_of(report: Report) -> list[Finding]:
    """What a repair did, in words."""
    found = []
    if report.events_set_aside:
        message = "the event log was damaged and is set aside; the catalog brought its events back"
        found.append(Finding("repair", State.FIXED, message, count=1))
    counts = report.repairs.counts
    found += [_fixed(name, counts[name]) for name in DONE if counts[name]]
    found += _untold(report.repairs)
    if report.unfinished:
        message = "documents that `ragmesh run` goes on with, what they need is away"
        found.append(_failed(message, report.unfinished, UnavailableError.reason))
    left = {name: report.left.counts[name] for name in DONE if name not in _TIMELY}
    if not report.unfinished and any(left.values()):
        again = "; ".join(f"{DONE[name]}: {count}" for name, count in left.items() if count)
        message = f"differences found again after the repair ({again})"
        found.append(_failed(message, sum(left.values()), StoreDamagedError.reason))
    return found or [Finding("repair", State.OK, "catalog, files and index agree")]


def _fixed(name: str, count: int) -> Finding:
    return Finding("repair", State.FIXED, f"{DONE[name]}: {count}", count=count)


def _untold(repairs: Repairs) -> list[Finding]:
    return [
        _failed(TOLD[name], repairs.counts[name], StoreDamagedError.reason)
        for name in TOLD
        if repairs.counts[name]
    ]


def _failed(message: str, count: int, reason: str) -> Finding:
    return Finding("repair", State.FAILED, f"{message}: {count}", reason, count=count)


async def _repair_running(surroundings: Surroundings, address: str) -> AsyncIterator[Finding]:
    """Have the mesh that runs on the stores compare each of its collections now."""
    try:
        async with surroundings.mesh(address) as mesh:
            async for collection in each(mesh.list_collections):
                found = await mesh.repair_collection(collection.name)
                state = State.FIXED if found.different else State.OK
                message = (
                    f"the running mesh compared {found.compared} documents,"
                    f" {found.different} differed and are being repaired"
                )
                subject = f"repair {collection.name}"
                yield Finding(subject, state, message, count=found.different)
    except RagmeshError as error:
        yield Finding.of("repair", error)
