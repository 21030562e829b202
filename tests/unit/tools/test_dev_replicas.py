"""The processes of a mesh on real servers know of every replica that they call."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.dev import replicas as module
from tools.dev.replicas import Replicas
from tools.dev.table import REPLICAS, SERVERS
from tools.servers.table import KINDS


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Replicas:
    monkeypatch.setattr(module, "free_ports", lambda: iter(range(20_000, 30_000)))
    return Replicas.on_free_ports(REPLICAS, {"RAGMESH_EVENTS__URL": "kafka://there:1"})


def test_who_has_two_replicas_is_called_at_both(made: Replicas) -> None:
    one, two = made.of("retrieval")
    told = made.variables()
    assert told["RAGMESH_PEERS__RETRIEVAL"] == f"ipv4:{one.grpc},{two.grpc}"
    assert told["RAGMESH_EVENTS__URL"] == "kafka://there:1"


def test_no_two_processes_listen_at_one_port(made: Replicas) -> None:
    commands = [made.command(name, Path("data")) for name in made.names]
    addresses = [word for command in commands for word in command if ":" in word]
    assert len(addresses) == len(set(addresses)) > len(made.names)


def test_nobody_is_stopped_before_those_who_call_it(made: Replicas) -> None:
    targets = [made.target(name) for name in made.names]
    assert targets.index("indexing") > targets.index("retrieval") > targets.index("embedding")
    assert targets[-1] == "gateway"


def test_every_server_is_a_row_that_says_which_setting_names_it() -> None:
    settings = {KINDS[name].setting for name in SERVERS}
    assert len(settings) == len(SERVERS)
