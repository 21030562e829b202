"""A mesh whose brokers are not there tells nobody to scale by what waits."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.e2e.meshes import running
from tools.free_ports import LOOPBACK, free_ports
from tools.processes import await_condition


def test_what_waits_is_told_by_a_mesh_with_its_event_log_and_by_none_without(  # AS-5
    tmp_path: Path,
) -> None:
    ports = free_ports()
    probes, closed = f"{LOOPBACK}:{next(ports)}", f"{LOOPBACK}:{next(ports)}"
    told = {}
    for events in ("", f"kafka://{closed}"):
        settings = {"RAGMESH_EVENTS__URL": events} if events else {}
        folder = tmp_path / ("away" if events else "here")
        with running(folder, RAGMESH_INTERNAL__HTTP=probes, **settings):
            # A log in a file is no dependency; of brokers nothing is known until they were asked.
            assert await_condition(lambda: standing(probes) in {None, "down"}, 20)
            reply = httpx.get(f"http://{probes}/backlog", timeout=20)
            told[bool(events)] = reply.status_code, reply.json()
    assert told[False] == (200, {"live": 0, "bulk": 0, "total": 0, "published": 0})
    assert told[True] == (503, {"status": "the event log does not answer"})


def standing(probes: str) -> str | None:
    """What the mesh says of its event log."""
    dependencies: dict[str, str] = httpx.get(f"http://{probes}/readyz").json()["dependencies"]
    return dependencies.get("events.url")
