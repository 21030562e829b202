"""Keys and tenants from the command line."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from pathlib import Path

from ragmesh.chassis.identity.key_files import KeyFiles
from ragmesh.chassis.identity.keys import SPEAKERS
from ragmesh.core.callers import Machine, Requester
from ragmesh.core.tenants import NewTenant
from tests.unit.app.cli.conftest import Program


def test_a_secret_is_all_that_stands_on_standard_output(program: Program) -> None:
    said = program("keys", "create", "--subject", "page", "--group", "staff", "--scope", "write")
    assert said.code == 0
    assert said.out.startswith("rmk_")
    assert len(said.out.split()) == 1
    assert said.out.strip() not in said.err
    listed = program("keys", "list").out
    assert listed.split()[1:] == ["default", "page", "write", "staff"]
    assert said.out.startswith(listed.split()[0])
    assert said.out.strip() not in listed


def test_keys_are_changed_rotated_and_revoked(program: Program) -> None:
    made = json.loads(program("keys", "create", "--subject", "page", "--json").out)
    key_id = made["key_id"]
    assert (made["roles"], made["secret"][:4]) == (["read"], "rmk_")
    said = program("keys", "update", key_id, "--group", "board", "--scope", "admin", "--json")
    assert json.loads(said.out)["groups"] == ["board"]
    assert (
        json.loads(program("keys", "update", key_id, "--no-groups", "--json").out)["groups"] == []
    )
    rotated = json.loads(program("keys", "rotate", key_id, "--overlap", "60", "--json").out)
    assert rotated["key_id"] != key_id
    assert program("keys", "revoke", key_id, "--reason", "lost").out.rstrip().endswith("revoked")
    assert program("keys", "revoke", "0" * 16).err.startswith("ragmesh: API_KEY_NOT_FOUND: ")
    for wrong in (("create",), ("update", key_id)):
        assert program("keys", *wrong).code == 2


def test_offline_writes_both_halves_of_the_first_key_once(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    said = program("keys", "create", "--offline", "--into", str(folder))
    assert said.code == 0
    key, digest = (folder / "admin.key").read_text(), (folder / "admin.key.sha256").read_text()
    assert sha256(key.strip().encode()).hexdigest() == digest.split()[0]
    assert key.strip() not in said.out + said.err
    assert (folder / "admin.key").stat().st_mode & 0o777 == 0o600
    assert program("keys", "create", "--offline", "--into", str(folder)).code == 2
    assert (folder / "admin.key").read_text() == key


def test_offline_makes_a_key_for_each_service_that_is_listed_for_it(
    program: Program, tmp_path: Path
) -> None:
    said = program("keys", "create", "--offline", "--services", "--into", str(tmp_path))
    assert said.code == 0
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {
        "admin.key", "admin.key.sha256", "public-keys.json", *(f"{name}.key" for name in SPEAKERS)
    }  # fmt: skip
    for name, speaker in SPEAKERS.items():
        key, ring = KeyFiles(tmp_path / f"{name}.key", tmp_path / "public-keys.json").read(speaker)
        assert ring.lets_speak(key, speaker)
    assert program("keys", "create", "--services", "--subject", "page").code == 2


def test_a_tenant_that_a_resource_keeps_is_changed_once_it_is_released(program: Program) -> None:
    keeper = Machine("operator", requester=Requester("uid-1@blue/docs", 1))
    asyncio.run(program.mesh.tenancy.create_tenant(keeper, NewTenant("acme")))
    assert "kept_by              uid-1@blue/docs\n" in program("tenants", "show", "acme").out
    for refused in (
        program("tenants", "update", "acme", "--documents", "5"),
        program("tenants", "delete", "acme", "--yes"),
    ):
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.startswith("ragmesh: TENANT_KEPT: the custom resource uid-1@blue/docs ")
    said = program("tenants", "release", "acme", "--reason", "its cluster is gone")
    assert (said.code, said.out) == (0, "released  acme\n")
    assert json.loads(program("tenants", "release", "acme", "--json").out)["released"]
    assert program("tenants", "update", "acme", "--documents", "5").code == 0


def test_tenants_are_made_shown_changed_and_deleted(program: Program) -> None:
    assert program("tenants", "create", "acme", "--requests-per-minute", "60").code == 0
    assert program("tenants", "list").out.split() == ["acme", "default"]
    said = program(
        "tenants", "update", "acme", "--in-flight", "5", "--on-exceeded", "degrade", "--json"
    )
    assert json.loads(said.out)["quota"]["requests_per_minute"] == 60
    shown = program("tenants", "show", "acme", "--json").out
    assert json.loads(shown)["quota"] == {
        "requests_per_minute": 60, "in_flight": 5, "documents": 0, "storage_bytes": 0
    }  # fmt: skip
    assert program("tenants", "update", "acme").code == 2
    assert program("tenants", "delete", "acme", "--yes").out == "deleted  acme\n"
    assert program("tenants", "show", "acme").err.startswith("ragmesh: TENANT_NOT_FOUND: ")
