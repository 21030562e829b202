"""How the gate sees calls over gRPC."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2

from ragmesh.core.errors import OverloadedError
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.limiting.gate import Gate, Priority
from ragmesh.gateway.limiting.quotas import EqualQuotas
from ragmesh.gateway.server import SERVICE_NAMES
from ragmesh.gateway.server.admission import BULK, UPLOADS, GateAdmission
from ragmesh.testing.clocks import ManualClock

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


@pytest.fixture
def gate() -> Gate:
    return Gate(EqualQuotas(), ManualClock(), places=lambda: 4)


async def test_health_passes_beside_a_gate_that_lets_nobody_in(gate: Gate) -> None:
    admission = GateAdmission(gate)
    ask = f"/{SERVICE_NAMES[0]}/Ask"
    async with gate.admit(gate.approach(DEVELOPER), Priority.BULK), admission.admit(ask, DEVELOPER):
        with pytest.raises(OverloadedError):
            await admission.admit(ask, DEVELOPER).__aenter__()
        for method in ("Check", "Watch"):
            async with admission.admit(f"/{HEALTH}/{method}", None):
                assert gate.under_way == 2


def test_every_method_that_is_named_exists() -> None:
    pool = descriptor_pool.Default()  # type: ignore[no-untyped-call]
    for method in BULK | UPLOADS:
        service, _, name = method.removeprefix("/").partition("/")
        assert name in pool.FindServiceByName(service).methods_by_name
