"""What was used, seen and done, over HTTP."""

from __future__ import annotations

import httpx

from ragmesh.core.callers import Machine
from ragmesh.core.usage import SeenDocument, SightRecord, UsageBatch
from ragmesh.testing.gateway import FakeMesh
from ragmesh.testing.records_contract import call, used

API = "/api/v1"
DOCUMENTS = f"{API}/collections/handbook/documents"


async def test_usage_is_summed_up_by_period(http: httpx.AsyncClient, mesh: FakeMesh) -> None:
    await mesh.catalog.record_usage(Machine("gateway"), UsageBatch((used("a"), used("b"))))
    asked = {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z", "period": "day"}
    reply = (await http.get(f"{API}/usage", params=asked)).json()
    (found,) = reply["usage"]
    assert (found["tenant"], found["model"], found["requests"]) == ("default", "gpt", 2)
    assert (found["cost_dollars"], found["since"]) == (1.0, "2026-01-01T00:00:00Z")
    assert reply["next_page_token"] == ""


async def test_the_audit_says_who_did_what(http: httpx.AsyncClient) -> None:
    await http.post(DOCUMENTS, json={"document_id": "a", "text": "A text."})
    asked = {"resource": "collections/handbook/documents/a", "actor": "developer"}
    reply = (await http.get(f"{API}/audit", params=asked)).json()
    (entry,) = reply["entries"]
    assert (entry["action"], entry["details"]) == ("CreateDocument", {"revision": "1"})
    assert (entry["refusal"], entry["key_id"]) == ("", "")


async def test_sights_are_asked_for_by_document(http: httpx.AsyncClient, mesh: FakeMesh) -> None:
    await http.post(DOCUMENTS, json={"document_id": "a", "text": "A text."})
    (found,) = mesh.catalog.collections.values()
    seen = SeenDocument(found.documents["a"].row.uid, ("c1",))
    sight = SightRecord(call("s", method="Search"), found.shown.uid, (seen,))
    await mesh.catalog.record_usage(Machine("gateway"), UsageBatch(sights=(sight,)))
    asked = {"collection": "handbook", "document_id": "a"}
    (shown,) = (await http.get(f"{API}/sights", params=asked)).json()["sights"]
    assert (shown["actor"], shown["action"], shown["chunk_ids"]) == ("mia", "Search", ["c1"])
    assert (shown["collection"], shown["document_id"]) == ("handbook", "a")


async def test_what_cannot_be_meant_is_refused(http: httpx.AsyncClient) -> None:
    for path, asked in (
        ("usage", {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        ("usage", {"since": "2026-01-02T00:00:00"}),
        ("usage", {"period": "week"}),
        ("audit", {"page_size": "2000"}),
        ("audit", {"page_token": "made up"}),
        ("sights", {"document_id": "a"}),
        ("sights", {"collection": "No Name"}),
    ):
        reply = await http.get(f"{API}/{path}", params=asked)
        assert reply.status_code == 400, (path, asked)
        assert reply.json()["errors"], (path, asked)
