"""Requests that no mesh should serve get one clear error with a stable reason."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e.meshes import Mesh, ragmesh

ASK = "/collections/handbook/ask"
SEARCH = "/collections/handbook/search"


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        (ASK, {"question": ""}, 400, "EMPTY_QUESTION"),
        (ASK, {"question": " \n\t "}, 400, "EMPTY_QUESTION"),
        (ASK, {"question": "a" * 1_000_000}, 400, "QUESTION_TOO_LONG"),
        (ASK, {"question": "a\x00b"}, 400, "CONTROL_CHARACTERS"),
        (ASK, {"question": "a", "limit": 0}, 400, "INVALID_LIMIT"),
        (SEARCH, {"query": "a", "limit": 10**9}, 400, "INVALID_LIMIT"),
        ("/collections/none/ask", {"question": "a"}, 404, "COLLECTION_NOT_FOUND"),
    ],
    ids=["empty", "blank", "a megabyte", "controls", "limit 0", "limit 10^9", "no collection"],
)
def test_a_bad_question_is_refused_with_its_reason(
    handbook: Mesh, path: str, body: dict[str, Any], status: int, reason: str
) -> None:
    reply = handbook.rest.post(path, json=body)
    assert (reply.status_code, reply.json()["reason"]) == (status, reason)
    assert reply.headers["content-type"].startswith("application/problem+json")


def test_a_host_or_a_page_of_elsewhere_is_refused(mesh: Mesh) -> None:
    for headers, reason in (
        ({"Host": "evil.example"}, "FOREIGN_HOST"),
        ({"Origin": "http://evil.example"}, "FOREIGN_ORIGIN"),
        ({"Sec-Fetch-Site": "cross-site"}, "FOREIGN_ORIGIN"),
    ):
        reply = mesh.rest.get("/collections", headers=headers)
        assert (reply.status_code, reply.json()["reason"]) == (403, reason)


def test_the_pages_for_people_and_probes_answer(mesh: Mesh) -> None:
    for page in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert httpx.get(mesh.http + page).status_code == 200, page


def test_a_command_that_finds_no_mesh_says_how_to_start_one() -> None:
    said = ragmesh("ask", "why", "-c", "handbook", "--server", "127.0.0.1:1")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("ragmesh: UNAVAILABLE: the mesh at 127.0.0.1:1 is not available")
    assert "`ragmesh run` starts one" in said.err
    assert said.err.count("\n") == 1


def test_bad_questions_get_the_same_reasons_at_the_command_line(handbook: Mesh) -> None:
    for arguments, reason in (
        (("ask", " ", "-c", "handbook"), "EMPTY_QUESTION"),
        (("ask", "a", "-c", "none"), "COLLECTION_NOT_FOUND"),
        (("search", "a", "-c", "handbook", "--limit", "0"), "INVALID_LIMIT"),
        (("documents", "delete", "none", "-c", "handbook"), "DOCUMENT_NOT_FOUND"),
        (("collections", "create", "handbook"), "COLLECTION_EXISTS"),
    ):
        said = handbook.cli(*arguments)
        assert (said.code, said.out) == (1, ""), arguments
        assert said.err.startswith(f"ragmesh: {reason}: "), said.err
        assert said.err.count("\n") == 1
