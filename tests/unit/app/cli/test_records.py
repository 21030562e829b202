"""What was used, done and seen, from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from ragmesh.core.usage import (
    AuditEntry,
    AuditQuery,
    Interval,
    Sight,
    SightQuery,
    UsagePeriod,
    UsageQuery,
    UsageSummary,
)
from tests.unit.app.cli.conftest import Program
from tests.unit.app.cli.fake_mesh import NOON, FakeMesh

MAY, JUNE = datetime(2025, 5, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
SUM = UsageSummary("default", MAY, JUNE, "gpt", 7, 2, 1, 3, 1_000, 50, 0.0125, 9.5)
ENTRY = AuditEntry(
    "9", NOON, "default", "ada", "k1", "DeleteDocument", "collections/notes/documents/a.pdf",
    (("revision", "4"),), request_id="r1")  # fmt: skip
TRIES = (("attempts", "3"),)
REFUSED = AuditEntry("8", NOON, "default", "mia", "k2", "ListUsage", "", TRIES, "PERMISSION_DENIED")
SIGHT = Sight(NOON, "default", "mia", "k2", "Ask", "notes", "a.pdf", "u1", ("c1", "c2"), "r2")


def test_usage_is_a_table_of_sums(program: Program, mesh: FakeMesh) -> None:
    mesh.used = [SUM, UsageSummary("default", MAY, JUNE, "")]
    said = program(
        "usage", "--since", "2025-05-01", "--until", "2025-06-01T12:30", "--period", "day"
    )
    title, first, second = said.out.splitlines()
    assert title.split()[:5] == ["period", "tenant", "model", "requests", "cached"]
    assert first.split()[6:] == ["gpt", "7", "2", "1", "3", "1000", "50", "0.0125"]
    assert second.startswith("2025-05-01 00:00 - 2025-06-01 00:00  default  -")
    until = datetime(2025, 6, 1, 12, 30, tzinfo=UTC)
    assert mesh.record_queries == [UsageQuery("", Interval(MAY, until), UsagePeriod.DAY)]
    lines = program("usage", "--json").out.splitlines()
    assert json.loads(lines[0])["cost_dollars"] == 0.0125


def test_the_audit_tells_what_was_done_and_refused(program: Program, mesh: FakeMesh) -> None:
    mesh.entries = [ENTRY, REFUSED]
    said = program("audit", "--actor", "ada", "--resource", "collections/notes")
    _, done, refused = said.out.splitlines()
    assert done.split() == [
        "2025-05-01", "12:00:00", "ada", "DeleteDocument",
        "collections/notes/documents/a.pdf", "revision=4"]  # fmt: skip
    assert refused.endswith("refused: PERMISSION_DENIED attempts=3")
    assert mesh.record_queries == [AuditQuery(actor="ada", resource="collections/notes")]
    assert len(program("audit", "--limit", "1").out.splitlines()) == 2
    (line,) = program("audit", "--limit", "1", "--json").out.splitlines()
    assert json.loads(line)["details"] == {"revision": "4"}


def test_the_audit_tells_why_where_somebody_said_so(program: Program, mesh: FakeMesh) -> None:
    details = (("command", "rollback"), ("phase", "soaking"))
    told = replace(ENTRY, action="CommandMigration", details=details, reason="refunds are\nworse")
    mesh.entries = [told]
    _, line = program("audit").out.splitlines()
    assert line.endswith("command=rollback phase=soaking because: refunds are worse")


def test_sights_tell_who_saw_what(program: Program, mesh: FakeMesh) -> None:
    mesh.seen = [SIGHT]
    said = program("sights", "-c", "notes", "-d", "a.pdf")
    assert said.out.splitlines()[1].split()[2:] == ["mia", "Ask", "notes", "a.pdf", "c1", "c2"]
    assert mesh.record_queries == [SightQuery(collection="notes", document_id="a.pdf")]
    refused = program("sights", "-d", "a.pdf")
    assert (refused.code, "collection" in refused.err) == (1, True)
