"""A mesh in memory as the operator calls it: by the rules of the catalog, with kills between."""

from __future__ import annotations

from dataclasses import replace

from ragmesh.core.callers import Caller, Machine
from ragmesh.core.documents import Collection, CollectionChange, NewCollection
from ragmesh.core.migrations import GoldenQuestions, IndexChange, Migration, MigrationCommand
from ragmesh.core.tenants import NewTenant, Tenant
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.indexing import FakeIndexing
from tests.unit.operators.cluster import Kills

KEEPER = Machine("operator")
"""Of a release that does not say which resource it carries out: it is let in to everything."""


class FakeMesh(FakeIndexing):
    """Counts writes, does a command once a key, and may be away or end the process."""

    def __init__(self, clock: ManualClock, kills: Kills) -> None:
        super().__init__(clock)
        self.kills = kills
        self.sent: list[tuple[str, str, str]] = []
        """Writes that came: method, collection, what."""
        self.keys: set[str] = set()
        self.tells_keepers = True
        """Whether it is new enough to tell who keeps a collection, and how it is changed."""

        self.takes_like_the_former_release = False
        """Whether a process of 0.2.0 takes writes, beside one of now that answers."""

    async def open_tenant(self, name: str = "default") -> str:
        return (await self.create_tenant(KEEPER, NewTenant(name))).uid

    async def get_tenant(self, caller: Caller, name: str) -> Tenant:
        found = await super().get_tenant(caller, name)
        return found if self.tells_keepers else replace(found, kept_by=None)

    async def create_collection(self, caller: Caller, new: NewCollection) -> Collection:
        self._begin("create", new.name)
        made = await super().create_collection(caller, new)
        self.kills.done()
        return made

    async def update_collection(
        self, caller: Caller, name: str, change: CollectionChange
    ) -> Collection:
        self._begin("update", name)
        made = await super().update_collection(caller, name, change)
        self.kills.done()
        return made

    async def delete_collection(self, caller: Caller, name: str) -> None:
        self._begin("delete", name)
        await super().delete_collection(caller, name)
        self.kills.done()

    async def want_index(self, caller: Caller, collection: str, change: IndexChange) -> Migration:
        self._begin("want", collection, change.encoder or "")
        if self.takes_like_the_former_release and change.policy is not None:
            change = replace(change, policy=replace(change.policy, max_regressions=()))
        found = await super().want_index(caller, collection, change)
        self.kills.done()
        return found

    async def release_collection(
        self, caller: Caller, collection: str, *, reason: str = ""
    ) -> None:
        self._begin("release", collection)
        await super().release_collection(caller, collection, reason=reason)
        self.kills.done()

    async def get_migration(self, caller: Caller, collection: str) -> Migration:
        found = await super().get_migration(caller, collection)
        return found if self.tells_keepers else replace(found, kept_by=None, policy=None)

    async def set_golden_questions(
        self, caller: Caller, collection: str, content: str
    ) -> GoldenQuestions:
        self._begin("golden", collection)
        kept = await super().set_golden_questions(caller, collection, content)
        self.kills.done()
        return kept

    async def command_once(
        self,
        caller: Caller,
        collection: str,
        command: MigrationCommand,
        *,
        reason: str,
        key: str,
    ) -> None:
        self._begin("command", collection, f"{command.value} {reason}".strip())
        if key not in self.keys:
            await super().command_migration(caller, collection, command, reason=reason)
            self.keys.add(key)
        self.kills.done()

    def _begin(self, method: str, name: str, what: str = "") -> None:
        self.kills.before()
        self._fail()
        self.sent.append((method, name, what))
