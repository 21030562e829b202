"""One seed: two tenants write and search, faults strike, and what is left is held to the promises.

A seed decides which faults strike and when, whom they strike, and what users ask for. Each seed
has tenants of its own, so that the mesh is started once for many.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from random import Random
from uuid import uuid4

from tests.faults.doors import COLLECTION, Doors
from tests.faults.history import History, Outcome, Part, violations
from tests.faults.reader import MODES
from tests.faults.real.failing import FAULTS, Fault
from tests.faults.real.mesh import RealMesh
from tests.faults.real.scene import Scene
from tests.faults.real.stored import Place, Stored, stored_by
from tests.faults.real.users import CLEAN, NAMES, Users, users_of
from tests.faults.script import Expected, Script, parts_of, text_of
from tests.faults.stores import Remains, differences

FAULTS_OF_A_SEED = 2
_TENANTS = 2
_FIRST_NUMBER = 1_000
SWEEP_SECONDS = 240.0
"""Two passes of the reconciler, on a busy machine."""
LAST_SECONDS = 60.0
"""In which everybody must see what is true in the end."""
UNTOLD = frozenset({"INTERNAL", "API_KEY_UNKNOWN", "API_KEY_MISSING"})
"""Refusals that no fault may cause."""


@dataclass(slots=True)
class Verdict:
    """What one seed came to."""

    seed: int
    faults: tuple[str, ...]
    answered: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    searches: int = 0
    chunks: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    """Where it has left what searches do not see, which is swept a minute later."""

    def add(self, users: Users) -> None:
        """Count what users did."""
        outcomes = Counter(call.outcome for call in users.calls)
        self.answered += outcomes[Outcome.OK]
        self.unknown += users.unknown
        self.refused += users.refusals
        self.searches += len(users.sights)
        self.violations += users.foul
        self.violations += [
            f"refused with {reason}" for reason in users.refusals if reason in UNTOLD
        ]


def faults_of(seed: int) -> tuple[str, ...]:
    """The faults of a seed: all are dealt out before any comes again."""
    names = list(FAULTS)
    first = (seed - 1) * FAULTS_OF_A_SEED
    chosen = []
    for place in range(first, first + FAULTS_OF_A_SEED):
        deal, card = divmod(place, len(names))
        chosen.append(Random(deal).sample(names, len(names))[card])
    return tuple(chosen)


async def run_seed(mesh: RealMesh, seed: int) -> Verdict:
    """Run a seed on a mesh to which nothing else happens."""
    return await run_trial(mesh, seed, [(name, FAULTS[name]) for name in faults_of(seed)])


async def run_trial(mesh: RealMesh, seed: int, faults: Sequence[tuple[str, Fault]]) -> Verdict:
    """Have faults strike one after the other, and judge what is left."""
    verdict, began = Verdict(seed, tuple(name for name, _ in faults)), time.monotonic()
    mark = uuid4().hex[:6]
    async with AsyncExitStack() as stack:
        tenants = [
            await stack.enter_async_context(
                users_of(mesh, f"t-{seed}-{mark}-{number}", _script(seed, number))
            )
            for number in range(_TENANTS)
        ]
        await asyncio.gather(*(users.begin() for users in tenants))
        await _load(Scene(mesh, tenants, Random(seed)), [fault for _, fault in faults])
        async with asyncio.TaskGroup() as group:
            for users in tenants:
                group.create_task(_judge(users, mesh, verdict))
    verdict.seconds = time.monotonic() - began
    return verdict


def _script(seed: int, number: int) -> Script:
    """No two tenants write the same edition, so that a foreign text is known by it."""
    return Script(f"{seed} {number}", _FIRST_NUMBER + number, _TENANTS)


async def _load(scene: Scene, faults: Sequence[Fault]) -> None:
    """Have everybody at work while the faults strike, one after the other."""
    async with asyncio.TaskGroup() as group:
        for users in scene.users:
            group.create_task(users.write())
            group.create_task(users.search())
        for fault in faults:
            await scene.meanwhile()
            try:
                await fault(scene)
            finally:
                await scene.mesh.restore()
        await scene.meanwhile()
        for users in scene.users:
            users.finished.set()


async def swept(mesh: RealMesh, verdicts: Sequence[Verdict]) -> dict[int, list[str]]:
    """By seed, chunks that are still there though nobody sees them; they have a minute to go."""
    async with stored_by(mesh) as stored:
        late = time.monotonic() + SWEEP_SECONDS
        left: dict[int, list[str]] = {}
        while True:
            left = {one.seed: await _strays(stored, one) for one in verdicts}
            if not any(left.values()) or time.monotonic() > late:
                return left
            await asyncio.sleep(1.0)


async def _strays(stored: Stored, verdict: Verdict) -> list[str]:
    return [told for place in verdict.places for told in (await stored.remains(place)).strays]


# -- what is left ----------------------------------------------------------------


async def _judge(users: Users, mesh: RealMesh, verdict: Verdict) -> None:
    """Wait until all is at rest, and compare it with what may be."""
    async with stored_by(mesh) as stored:
        await _judge_by(users, stored, verdict)


async def _judge_by(users: Users, stored: Stored, verdict: Verdict) -> None:
    place = await stored.place(users.tenant, COLLECTION)
    found = await _at_rest(users, stored, place)
    late = time.monotonic() + LAST_SECONDS
    last = [
        await _last_look(users, found[name], (mode, doors), late)
        for name in NAMES
        for mode in MODES
        for doors in users.doors
    ]
    history = History(tuple(users.calls), tuple(users.sights), found, users.known)
    # Searches that see the same fault again tell no more than how often.
    seen = Counter(violations(history))
    verdict.violations += [f"{users.tenant}: {told} ({n} times)" for told, n in seen.items()]
    verdict.violations += [f"{users.tenant}: {told}" for told in last if told]
    verdict.violations += [f"{users.tenant}: {told}" for told in await stored.unended(place)]
    await _compare(users, stored, place, found, verdict)
    verdict.add(users)


async def _at_rest(users: Users, stored: Stored, place: Place) -> dict[str, Expected]:
    """Each document, once nothing changes any more and the clean collection holds the same.

    A call that nobody waits for any more may happen meanwhile: then all is looked at again.
    """
    while True:
        await users.settle()
        found = await _documents(users, stored, place)
        alive = [one for one in found.values() if one.edition is not None]
        await users.put_clean((one, text_of(one.name, one.edition or 0)) for one in alive)
        await users.settle()
        if found == await _documents(users, stored, place):
            return found


async def _documents(users: Users, stored: Stored, place: Place) -> dict[str, Expected]:
    editions = await stored.editions(place, users.written())
    found = {}
    for name in NAMES:
        document = Expected(name, editions.get(name, ()))
        if document.edition is not None:
            title, access = await users.attributes(name)
            document = replace(document, title=title, access=access)
        found[name] = document
    return found


async def _last_look(users: Users, document: Expected, way: tuple[str, Doors], late: float) -> str:
    """What is wrong with what everybody sees in the end."""
    wanted = () if document.edition is None else _whole(document)
    mode, doors = way
    while True:
        sight = await users.look(document.name, mode, doors)
        if sight is not None and sight.parts == wanted:
            return ""
        if time.monotonic() > late:
            break
    shown = None if sight is None else sight.parts
    return f"{document.name} by {mode} is {shown} in the end instead of {wanted}"


def _whole(document: Expected) -> tuple[Part, ...]:
    edition = document.edition or 0
    return tuple(Part(document.revision, edition, part) for part in range(parts_of(edition)))


async def _compare(
    users: Users,
    stored: Stored,
    place: Place,
    found: Mapping[str, Expected],
    verdict: Verdict,
) -> None:
    """Hold the index to what a collection holds to which nothing has happened."""
    clean = await stored.remains(await stored.place(users.tenant, CLEAN))
    # There every document that is left has its first revision.
    wanted = Remains(
        {
            (name, found[name].revision, ordinal): row
            for (name, _, ordinal), row in clean.rows.items()
            if found[name].edition is not None
        },
        [],
    )
    remains = await stored.remains(place)
    verdict.chunks += len(wanted.rows)
    verdict.places.append(place)
    told = differences(Remains(remains.rows, []), wanted)
    verdict.violations += [f"{users.tenant}: {one}" for one in told]
