"""What a namespace that is going refuses holds nothing up that should go with it."""

from __future__ import annotations

import kopf
import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.errors import DeniedError
from ragmesh_operator.adapters.api_server import api_server
from ragmesh_operator.adapters.kube import KubeResources
from ragmesh_operator.ports import Occurrence
from ragmesh_operator.schemas import COLLECTION
from ragmesh_operator.values import Key
from tests.servers.operator.api_server import ADMIN, KubeServer
from tests.servers.operator.conftest import namespace

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


async def test_a_namespace_that_is_going_takes_no_event_and_nobody_fails_of_it(  # OP-7
    kube: KubeServer,
) -> None:
    assert kube.apply(namespace("going")).returncode == 0
    said = kube.kubectl("delete", "namespace", "going", "--wait=false")
    assert said.returncode == 0, said.stderr
    clock = SystemClock()

    def login() -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=kube.url, token=ADMIN, insecure=True)

    async with api_server(login, clock) as api:
        made = {"metadata": {"name": "late", "namespace": "going"}, "involvedObject": {}}
        with pytest.raises(DeniedError, match="being terminated"):
            await api.call("POST", "/api/v1/namespaces/going/events", body=made)
        key = Key(COLLECTION.plural, "going", "handbook")
        await KubeResources(api, (), clock).tell(key, "uid-1", Occurrence("CleanupIncomplete", "x"))
