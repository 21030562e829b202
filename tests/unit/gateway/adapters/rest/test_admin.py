"""What was given up, over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx

from ragmesh.core.callers import Caller, Machine, Requester
from ragmesh.core.migrations import IndexChange, MetricBound
from ragmesh.core.tenants import NewTenant, Tenant, TenantChange
from ragmesh.gateway.adapters.rest.collection_bodies import MigrationPolicyBody
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.testing.gateway import FakeMesh

LETTERS = "/api/v1/dead-letters"
DOCUMENTS = "/api/v1/collections/handbook/documents"


async def given_up(http: httpx.AsyncClient, mesh: FakeMesh, name: str) -> dict[str, Any]:
    reply = await http.post(DOCUMENTS, json={"document_id": name, "text": "A text."})
    await mesh.catalog.fail(reply.json()["documents"][0]["job_id"])
    page = (await http.get(LETTERS)).json()
    (found,) = [one for one in page["dead_letters"] if one["document_id"] == name]
    shown: dict[str, Any] = found
    return shown


async def test_a_dead_letter_says_what_why_and_where_from(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    letter = await given_up(http, mesh, "a")
    assert (letter["collection"], letter["revision"], letter["attempts"]) == ("handbook", 1, 1)
    assert letter["error"]["reason"] == "NO_TEXT"
    assert letter["origin"]["topic"] == "ragmesh.documents.changed.v1"
    assert "replayed_at" not in letter
    alone = await http.get(f"{LETTERS}/{letter['dead_letter_id']}")
    assert alone.json() == letter
    unknown = await http.get(f"{LETTERS}/unknown")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "DEAD_LETTER_NOT_FOUND")


async def test_dead_letters_are_narrowed_down_and_come_in_pages(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    for name in ("a", "b"):
        await given_up(http, mesh, name)
    first = (await http.get(LETTERS, params={"page_size": 1})).json()
    token = first["next_page_token"]
    rest = (await http.get(LETTERS, params={"page_size": 1, "page_token": token})).json()
    shown = {one["document_id"] for page in (first, rest) for one in page["dead_letters"]}
    assert (shown, rest["next_page_token"]) == ({"a", "b"}, "")
    other = await http.get(LETTERS, params={"reason": "ENCRYPTED", "collection": "handbook"})
    assert other.json()["dead_letters"] == []
    assert (await http.get(LETTERS, params={"collection": "nowhere"})).status_code == 404
    assert (await http.get(LETTERS, params={"collection": "No Name"})).status_code == 400


async def test_a_replay_is_answered_with_what_became_of_each(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    letter = await given_up(http, mesh, "a")
    body = {"dead_letter_ids": [letter["dead_letter_id"], "unknown"]}
    reply = await http.post(f"{LETTERS}:replay", json=body)
    assert reply.json() == {"replayed": 1, "superseded": 0, "gone": 1}
    assert (await http.get(f"{DOCUMENTS}/a")).json()["state"] == "RECEIVED"
    empty = await http.post(f"{LETTERS}:replay", json={"dead_letter_ids": []})
    assert (empty.status_code, empty.json()["errors"][0]["field"]) == (400, "dead_letter_ids")


async def test_a_collection_is_compared_on_demand(http: httpx.AsyncClient) -> None:
    reply = await http.post("/api/v1/collections/handbook:repair")
    assert reply.json() == {"compared": 0, "different": 0}
    assert (await http.post("/api/v1/collections/nowhere:repair")).status_code == 404


async def test_a_collection_is_released_by_who_says_why(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    one = "/api/v1/collections/handbook"
    keeper = Machine("operator", DEVELOPER.tenant_uid, Requester("gone", 3))
    await mesh.catalog.want_index(keeper, "handbook", IndexChange())
    assert (await http.get(f"{one}/migration")).json()["kept_by"] == "gone"
    refused = await http.put(f"{one}/golden-questions", json={"content": "{}"})
    assert (refused.status_code, refused.json()["reason"]) == (400, "COLLECTION_KEPT")
    reply = await http.post(f"{one}:release", json={"reason": "its cluster is gone"})
    assert (reply.status_code, reply.content) == (204, b"")
    assert (await http.get(f"{one}/migration")).json()["kept_by"] == ""
    (entry,) = (await http.get("/api/v1/audit?action=ReleaseCollection")).json()["entries"]
    assert (entry["reason"], entry["details"]) == ("its cluster is gone", {"kept_by": "gone"})
    unknown = await http.post("/api/v1/collections/nowhere:release", json={})
    assert unknown.status_code == 404
    assert (await http.post(f"{one}:release", json={"reason": "x" * 1_001})).status_code == 400


async def test_a_tenant_is_changed_by_the_resource_that_keeps_it_until_it_is_released(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    one, keeper = "/api/v1/tenants/acme", Machine("operator", requester=Requester("gone", 3))
    made = await http.post("/api/v1/tenants", json={"name": "acme"})
    assert made.json()["kept_by"] == ""
    await mesh.catalog.update_tenant(keeper, "acme", TenantChange(display_name="Acme"))
    assert (await http.get(one)).json()["kept_by"] == "gone"
    (listed, _) = (await http.get("/api/v1/tenants")).json()["tenants"]
    assert (listed["name"], listed["kept_by"]) == ("acme", "gone")
    change = {"quota": {"documents": 5}}
    for refused in (await http.patch(one, json=change), await http.delete(one)):
        assert (refused.status_code, refused.json()["reason"]) == (400, "TENANT_KEPT")
    reply = await http.post(f"{one}:release", json={"reason": "its cluster is gone"})
    assert (reply.status_code, reply.content) == (204, b"")
    (entry,) = (await http.get("/api/v1/audit?action=ReleaseTenant")).json()["entries"]
    assert (entry["reason"], entry["details"]) == ("its cluster is gone", {"kept_by": "gone"})
    freed = (await http.patch(one, json=change)).json()
    assert (freed["quota"]["documents"], freed["kept_by"]) == (5, "")
    assert (await http.post("/api/v1/tenants/nowhere:release", json={})).status_code == 404
    assert (await http.post(f"{one}:release", json={"reason": "x" * 1_001})).status_code == 400


async def test_a_mesh_that_is_too_old_to_say_who_keeps_a_tenant_shows_nobody(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    await mesh.catalog.create_tenant(DEVELOPER, NewTenant("acme"))
    real = mesh.catalog.get_tenant

    async def of_0_2_0(caller: Caller, name: str) -> Tenant:
        return replace(await real(caller, name), kept_by=None)

    mesh.catalog.get_tenant = of_0_2_0  # type: ignore[method-assign]
    assert (await http.get("/api/v1/tenants/acme")).json()["kept_by"] == ""


async def test_metrics_have_bounds_of_their_own(http: httpx.AsyncClient) -> None:
    bounds = [{"metric": "recall", "max_regression": 0.0}, {"metric": "mrr", "max_regression": 0.1}]
    policy = MigrationPolicyBody.model_validate({"max_regressions": bounds}).policy()
    assert policy.max_regressions == (MetricBound("recall", 0.0), MetricBound("mrr", 0.1))
    one = "/api/v1/collections/handbook"
    for refused in ([*bounds, bounds[0]], [{"metric": "answering", "max_regression": 0.1}]):
        wish = {"migration": {"max_regressions": refused}}
        assert (await http.patch(one, json=wish)).status_code == 400
    taken = await http.patch(one, json={"migration": {"max_regressions": bounds}})
    assert taken.status_code == 200
