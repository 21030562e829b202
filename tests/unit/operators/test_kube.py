"""What the operator writes to an API server carries the version that it read, and its name."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import kopf
import pytest

from ragmesh.core.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    NotFoundError,
    RagmeshError,
    UnavailableError,
)
from ragmesh.testing.clocks import ManualClock
from ragmesh_operator.adapters.api_server import (
    APPLY,
    JSON_PATCH,
    MERGE,
    ApiServer,
    identity_of,
)
from ragmesh_operator.adapters.kube import KubeResources
from ragmesh_operator.ports import Occurrence
from ragmesh_operator.statuses import CollectionStatus
from ragmesh_operator.values import Key

KEY = Key("ragcollections", "docs", "handbook")
PATH = "/apis/ragmesh.dev/v1alpha1/namespaces/docs/ragcollections/handbook"


class Recorder:
    """Stands in for an API server: answers by path, and remembers what was written."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.written: list[tuple[str, str, str, Any]] = []

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        kind: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Any:
        token = (query or {}).get("continue", "")
        found = self.answers.get(path + token, {} if method != "GET" else None)
        if found is None:
            raise NotFoundError("not there")
        if isinstance(found, Exception) and method != "GET":
            raise found
        if method != "GET":
            self.written.append((method, path, kind, body))
        return found


def resources(answers: Mapping[str, Any] | None = None) -> tuple[KubeResources, Recorder]:
    recorder = Recorder(answers or {})
    return KubeResources(cast("ApiServer", recorder), (), ManualClock()), recorder


async def test_a_status_is_applied_on_the_version_that_was_read() -> None:
    kube, recorder = resources()
    await kube.write_status(KEY, "7", CollectionStatus(active_version="v1-ab"))
    ((method, path, kind, body),) = recorder.written
    assert (method, path, kind) == ("PATCH", f"{PATH}/status", APPLY)
    assert body["metadata"] == {"name": "handbook", "resourceVersion": "7"}
    assert body["status"]["activeVersion"] == "v1-ab"


async def test_finalizers_are_written_on_the_version_that_was_read() -> None:
    kube, recorder = resources()
    assert await kube.write_finalizers(KEY, "7", ["a", "b"])
    ((_, path, kind, body),) = recorder.written
    assert (path, kind) == (PATH, MERGE)
    assert body == {"metadata": {"resourceVersion": "7", "finalizers": ["a", "b"]}}


async def test_an_annotation_goes_only_while_it_says_what_was_carried_out() -> None:
    there = {"metadata": {"annotations": {"ragmesh.dev/migration": "hold", "mine": "x"}}}
    kube, recorder = resources({PATH: there})
    assert not await kube.take_annotations(KEY, "ragmesh.dev/migration", "approve", ())
    assert recorder.written == []
    kube, recorder = resources({PATH: there})
    await kube.take_annotations(KEY, "ragmesh.dev/migration", "hold", ("ragmesh.dev/by",))
    ((_, _, kind, body),) = recorder.written
    assert kind == JSON_PATCH
    assert body == [
        {"op": "test", "path": "/metadata/annotations/ragmesh.dev~1migration", "value": "hold"},
        {"op": "remove", "path": "/metadata/annotations/ragmesh.dev~1migration"},
    ]


async def test_a_list_is_read_to_its_end() -> None:
    place = "/apis/ragmesh.dev/v1alpha1/ragcollections"
    kube, _ = resources(
        {
            place: {"items": [{"a": 1}], "metadata": {"continue": "more"}},
            f"{place}more": {"items": [{"a": 2}], "metadata": {}},
        }
    )
    assert await kube.list("ragcollections") == [{"a": 1}, {"a": 2}]


async def test_what_is_not_there_is_nothing() -> None:
    kube, _ = resources()
    assert await kube.read(KEY) is None
    assert await kube.config_text("docs", "golden", "golden.jsonl") is None
    gone, _ = resources({PATH: NotFoundError("gone")})
    assert not await gone.write_finalizers(KEY, "7", ())


async def test_an_event_names_its_resource() -> None:
    kube, recorder = resources()
    await kube.tell(KEY, "uid-1", Occurrence("DriftCorrected", "sentence", is_warning=True))
    ((method, path, _, body),) = recorder.written
    assert (method, path) == ("POST", "/api/v1/namespaces/docs/events")
    assert (body["type"], body["involvedObject"]["uid"]) == ("Warning", "uid-1")


@pytest.mark.parametrize(
    "error",
    [
        DeniedError("the API server answered 403: it is being terminated"),
        UnavailableError("the API server did not answer: TimeoutError"),
        ConflictError("the API server answered 409: it is there already"),
    ],
)
async def test_an_event_that_cannot_be_made_holds_nothing_up(
    caplog: pytest.LogCaptureFixture, error: RagmeshError
) -> None:
    kube, recorder = resources({"/api/v1/namespaces/docs/events": error})
    await kube.tell(KEY, "uid-1", Occurrence("CleanupIncomplete", "sentence", is_warning=True))
    assert recorder.written == []
    assert [record.__dict__["told"] for record in caplog.records] == ["CleanupIncomplete"]


async def test_an_annotation_that_changed_between_is_left_alone() -> None:
    there = {"metadata": {"annotations": {"ragmesh.dev/migration": "hold"}}}

    class Racing(Recorder):
        async def call(self, method: str, path: str, **rest: Any) -> Any:
            if method == "PATCH":
                raise InvalidError("the test failed")
            return await super().call(method, path, **rest)

    kube = KubeResources(cast("ApiServer", Racing({PATH: there})), (), ManualClock())
    assert not await kube.take_annotations(KEY, "ragmesh.dev/migration", "hold", ())


def test_a_cluster_is_told_from_others_by_its_authority_however_that_is_named(
    tmp_path: Path,
) -> None:
    authority = "-----BEGIN CERTIFICATE-----\nblue\n-----END CERTIFICATE-----\n"
    file = tmp_path / "ca.crt"
    file.write_text(authority)
    server, encoded = "https://10.96.0.1:443", b64encode(authority.encode()).decode()
    named = [
        kopf.ConnectionInfo(server=server, ca_path=str(file)),
        kopf.ConnectionInfo(server=server, ca_data=encoded),
        kopf.ConnectionInfo(server="https://blue.example:6443", ca_data=authority),
    ]
    (blue,) = {identity_of(one) for one in named}
    green = authority.replace("blue", "green")
    assert identity_of(kopf.ConnectionInfo(server=server, ca_data=green)) not in {blue, ""}
    assert identity_of(kopf.ConnectionInfo(server=server, insecure=True)) == ""
