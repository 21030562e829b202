"""One document that is changed all the while, and users of both gateways who look for it."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx

from ragmesh.clients.gateway import gateway_client
from tests.faults.doors import COLLECTION, Doors
from tests.faults.reader import MODES, REFUSED, fault_of, found_of
from tests.faults.script import ANCHOR, text_of
from tools.dev.replicas import Replica

CHUNK_TOKENS = 40
"""So few that every part of the text is a chunk."""
EVERY_SECONDS = 0.4
_PAUSE_SECONDS = 0.05
_SETTLE_SECONDS = 60.0
_TIMEOUT_SECONDS = 60.0


@dataclass(slots=True)
class Looks:
    """What the users saw."""

    answers: Counter[str] = field(default_factory=Counter)
    """By mode, `ask` among them."""
    seen: set[int] = field(default_factory=set)
    foul: list[str] = field(default_factory=list)
    _seen_another: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, revision: int) -> None:
        """Return when somebody has seen this revision."""
        while revision not in self.seen:
            self._seen_another.clear()
            await self._seen_another.wait()

    async def search(self, doors: Doors, mode: str) -> None:
        """Search until cancelled; each time all of one revision must be found."""
        while True:
            found = await found_of(doors, ANCHOR, mode)
            if found is not None:
                self._judge(mode, fault_of(found))
                self.seen.update(revision for revision, _, _ in found)
                self._seen_another.set()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def ask(self, doors: Doors) -> None:
        """Ask until cancelled; whatever an answer cites must be of one revision."""
        body = {"question": f"Which edition of the owl {ANCHOR} is part 1 of?"}
        while True:
            reply = await doors.call("POST", "/ask", json=body)
            if reply.status_code not in REFUSED:
                assert reply.status_code == 200, reply.text
                cited = {one["revision"] for one in reply.json()["citations"]}
                self._judge("ask", "" if len(cited) == 1 else f"cites revisions {cited}")
            await asyncio.sleep(_PAUSE_SECONDS)

    def _judge(self, mode: str, fault: str) -> None:
        self.answers[mode] += 1
        if fault:
            self.foul.append(f"{mode}: {fault}")


async def change_under_eyes(gateways: Sequence[Replica], updates: int) -> Looks:
    """So many revisions by schedule, searched for at every gateway in every mode."""
    looks = Looks()
    async with AsyncExitStack() as stack:
        doors = [await _opened(gateway, stack) for gateway in gateways]
        made = await doors[0].rest.post(
            "/collections",
            json={
                "name": COLLECTION,
                "chunking": {"max_tokens": CHUNK_TOKENS, "overlap_tokens": 0},
            },
        )
        assert made.status_code == 201, made.text
        await _change(doors[0], 1, wait=60)
        async with asyncio.TaskGroup() as group:
            users = [
                group.create_task(looks.search(door, mode))
                for door, mode in itertools.product(doors, MODES)
            ]
            users += [group.create_task(looks.ask(door)) for door in doors]
            for edition in range(2, updates + 2):
                await _change(doors[edition % len(doors)], edition)
                await asyncio.sleep(EVERY_SECONDS)
            await asyncio.wait_for(looks.until(updates + 1), _SETTLE_SECONDS)
            for user in users:
                user.cancel()
    return looks


async def _opened(gateway: Replica, stack: AsyncExitStack) -> Doors:
    rest = httpx.AsyncClient(base_url=f"http://{gateway.http}/api/v1", timeout=_TIMEOUT_SECONDS)
    return Doors(
        await stack.enter_async_context(rest),
        await stack.enter_async_context(gateway_client(gateway.grpc)),
    )


async def _change(doors: Doors, edition: int, wait: int = 0) -> None:
    body = {
        "document_id": ANCHOR,
        "text": text_of(ANCHOR, edition),
        "metadata": {"name": ANCHOR},
    }
    while True:
        reply = await doors.call("POST", f"/documents?wait={wait}", json=body)
        if reply.status_code != 503:  # the same once more is no other revision
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    assert reply.status_code in (200, 202), reply.text
    assert reply.json()["documents"][0]["revision"] == edition
