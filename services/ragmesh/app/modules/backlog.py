"""The page `/backlog` of indexing, by which workers are scaled."""

from __future__ import annotations

from ragmesh.chassis.health import Health
from ragmesh.chassis.internal_http import Page
from ragmesh.core.errors import RagmeshError
from ragmesh.indexing.ports import WaitingWork

EVENTS = "events.url"


async def backlog_page(health: Health, ledger: WaitingWork | None) -> Page:
    """What waits; no answer where it is not known, or where no worker can be sent anything.

    Whoever scales by it holds then. Workers who get nothing look idle beside what waits, and
    would be taken away while brokers restart.
    """
    if ledger is None:  # it opens later than the listener
        return _held("starting")
    if health.dependencies().get(EVENTS, "up") != "up":
        return _held("the event log does not answer")
    try:
        found = await ledger.get_backlog()
    except RagmeshError as error:
        if not error.kind.transient:
            raise
        return _held(error.reason)
    return Page.of(
        {
            "live": found.live,
            "bulk": found.bulk,
            "total": found.live + found.bulk,
            "published": found.published,
        }
    )


def _held(status: str) -> Page:
    return Page.of({"status": status}, status=503)
