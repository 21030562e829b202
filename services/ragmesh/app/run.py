"""Runs one target: its modules in order, then ready, then down again in reverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ragmesh.app.modules import MODULES, TARGETS
from ragmesh.app.settings import Settings
from ragmesh.app.wiring import Wiring
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.files import make_folder_durably
from ragmesh.chassis.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True)
class Ready:
    """Where a process that serves is reached; None = it has no such listener."""

    http: str | None = None
    grpc: str | None = None
    internal_grpc: str | None = None
    internal_http: str | None = None


async def run_target(
    settings: Settings, *, announce: Callable[[Ready], None], in_cluster: bool = False
) -> None:
    """Serve until a signal says stop; a RagmeshError says why the process cannot start.

    `in_cluster` says that the process runs in a pod, where developer mode is refused.
    """
    modules = {name: MODULES[name] for name in TARGETS[settings.target]}
    for module in modules.values():
        module.load()  # takes seconds, in which a signal is better answered without a lifecycle
    async with Lifecycle() as life:
        wiring = Wiring(settings, life, SystemClock(), in_cluster)
        for module in modules.values():
            module.refuse(wiring)
        make_folder_durably(settings.data_dir)
        for name, module in modules.items():
            wiring.running[name] = await life.stack.enter_async_context(module.open(wiring))
        announce(Ready(**wiring.listening))
        await life.until_stopped()
