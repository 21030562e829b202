"""What a process can do now, as balancers, clusters and people ask it.

Three questions have three answers; docs/explanation/health.md says what hangs on each:

- Does this process take calls? From its start until it stops, whatever its dependencies do. It
  is what balancers read: one that refused calls because of somebody behind it would turn the
  outage of one service into the outage of all, and each recovery into a chain of waits.
- Can this service do its work? Not while a dependency is away that it cannot work without.
- Is this process ready? From when one of its services could work for the first time until it stops.
  What goes away later goes away for all replicas alike: were they all unready, nobody would be left
  to say what is away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ragmesh.chassis.patience import own_seconds
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError

Probe = Callable[[], Awaitable[None]]
"""Returns when all is well, else raises a RagmeshError."""
Listener = Callable[[], Awaitable[None]]

_LATE = "TIMEOUT"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """How many probes in a row change a verdict, and when they are made."""

    falls_after: int = 3
    rises_after: int = 2
    interval_seconds: float = 1.0
    timeout_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """The verdict over one dependency, which single probes do not change."""

    good: bool | None = None
    """None until the first probe, whose outcome counts at once: nothing has flapped yet."""
    against: int = 0
    """Probes in a row that said otherwise."""

    def after(self, good: bool, rule: Hysteresis) -> Standing:
        """The standing once one more probe has been made."""
        if self.good is None or good is self.good:
            return Standing(good)
        against = self.against + 1
        enough = rule.falls_after if self.good else rule.rises_after
        return Standing(good) if against >= enough else Standing(self.good, against)


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something outside of a service that is probed, and who cannot work without it."""

    name: str
    probe: Probe
    needed_by: tuple[str, ...] = ()
    """Services that stop without it. Empty: it is watched and told, and done without."""
    on_probe: Callable[[bool], None] | None = None
    """Told after each probe whether it was answered in its time, whatever was said."""


class Health:
    """The health of one process: its services, its dependencies, and whether it is stopping."""

    def __init__(
        self,
        services: Sequence[str],
        clock: Clock,
        *,
        dependencies: Sequence[Dependency] = (),
        rule: Hysteresis | None = None,
        stopping: asyncio.Event | None = None,
    ) -> None:
        self._services = tuple(services)
        self._clock = clock
        self._dependencies = list(dependencies)
        self._rule = Hysteresis() if rule is None else rule
        self._stopping = asyncio.Event() if stopping is None else stopping
        self._standings = {dependency.name: Standing() for dependency in dependencies}
        self._listeners: list[Listener] = []
        self._looking = asyncio.Lock()
        """Held while dependencies are probed."""
        self._has_worked = False
        """Whether a service could work, after any round of probes so far."""

    @asynccontextmanager
    async def watching(self, dependency: Dependency) -> AsyncIterator[None]:
        """Probe this as well for the time of a block: a store that was opened after health was.

        Nobody probes it any more when this returns, so that it can be closed.
        """
        self._standings[dependency.name] = Standing()
        self._dependencies.append(dependency)
        self._has_worked = False  # it never has with this
        try:
            yield
        finally:
            self._dependencies.remove(dependency)
            async with self._looking:
                pass

    @property
    def ready(self) -> bool:
        """Whether work should be sent here."""
        return (self._has_worked or self._can_work) and not self._stopping.is_set()

    @property
    def _can_work(self) -> bool:
        return any(self.works(name) for name in self._services) or not self._services

    def works(self, service: str) -> bool:
        """Whether everything is there that the service cannot do without."""
        return all(
            self._standings[dependency.name].good
            for dependency in self._dependencies
            if service in dependency.needed_by
        )

    @property
    def away(self) -> int:
        """How many dependencies are down."""
        return sum(standing.good is False for standing in self._standings.values())

    def dependencies(self) -> Mapping[str, str]:
        """Each dependency's standing in a word: up, down, or unknown before the first probe."""
        words = {None: "unknown", True: "up", False: "down"}
        return {name: words[standing.good] for name, standing in self._standings.items()}

    @asynccontextmanager
    async def following(self, listener: Listener) -> AsyncIterator[None]:
        """Call the listener now and after every change of a standing, for the time of a block."""
        self._listeners.append(listener)
        try:
            await listener()
            yield
        finally:
            self._listeners.remove(listener)

    async def run(self) -> None:
        """Probe every dependency again and again, until cancelled."""
        while True:
            before = dict(self._standings)
            async with self._looking, asyncio.TaskGroup() as group:
                probes = [group.create_task(self._probe(one)) for one in self._dependencies]
            self._has_worked |= self._can_work
            if any(self._standings[name].good is not was.good for name, was in before.items()):
                for listener in list(self._listeners):
                    await listener()
            # Whoever keeps others waiting is looked at again at once, until that is certain.
            doubted = any(probe.result() for probe in probes)
            await self._clock.sleep(0 if doubted else self._rule.interval_seconds)

    async def _probe(self, dependency: Dependency) -> bool:
        """Make one probe; whether it was too late to be sure of what was good so far."""
        reason = detail = ""
        try:
            async with own_seconds(self._rule.timeout_seconds):
                await dependency.probe()
        except TimeoutError:
            reason, detail = _LATE, "it did not answer in time"
        except RagmeshError as error:
            reason, detail = error.reason, error.message
        is_late = reason == _LATE
        if dependency.on_probe is not None:
            dependency.on_probe(not is_late)
        before = self._standings[dependency.name]
        after = self._standings[dependency.name] = before.after(not reason, self._rule)
        if after.good is before.good:
            return is_late and bool(after.good)
        if not after.good:
            _log.warning(
                "a dependency is away",
                extra={"dependency": dependency.name, "reason": reason, "detail": detail},
            )
        elif before.good is False:
            _log.info("a dependency is back", extra={"dependency": dependency.name})
        return False
