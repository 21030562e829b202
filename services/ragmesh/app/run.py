"""Runs one target: its modules in order, then ready, then down again in reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragmesh.app.modules import MODULES, modules_of
from ragmesh.app.settings import Settings
from ragmesh.app.wiring import CLIENTS, Wiring
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

    `in_cluster` says that the process runs in a pod, where developer mode is refused. What is
    needed of other processes is dialled and may come later: no order of starts is asked for.
    """
    modules = [MODULES[name] for name in modules_of(settings)]
    for module in modules:
        module.refuse(settings, in_cluster)
    for module in modules:
        # Takes seconds, in which a signal is better answered without a lifecycle.
        module.load()
    async with Lifecycle() as life:
        wiring = Wiring(settings, life, SystemClock(), in_cluster)
        await build(wiring)
        announce(Ready(**wiring.listening))
        await life.until_stopped()


async def build(wiring: Wiring) -> None:
    """Open the target's modules; they are closed with the lifecycle."""
    make_folder_durably(wiring.settings.data_dir)
    await open_modules(wiring, modules_of(wiring.settings))


async def open_modules(wiring: Wiring, names: Sequence[str]) -> None:
    """Open these modules in their order; they are closed with the lifecycle."""
    for name in names:
        opened = await wiring.life.stack.enter_async_context(MODULES[name].open(wiring))
        wiring.running[name] = wiring.observed(name, opened) if name in CLIENTS else opened
