"""`make bench`: every benchmark, or those that are named, onto one page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType

from ragmesh.chassis.executors import run
from tools.bench.loads import shows_a_stall
from tools.bench.page import PAGE, ROOT, Table, write

Measure = Callable[[Path | None], Awaitable[Table]]
ROWS: Mapping[str, str] = MappingProxyType(
    {
        "H1": "hop:measure_hop",
        "G1": "doors:measure_doors",
        "split": "question:measure_question",
        "C1": "repeats:measure_repeats",
        "L1": "users:measure_users",
        "I1": "ingest:measure_ingest",
        "I2": "messy:measure_messy",
        "I4": "ingest:measure_again",
        "S1": "searching:measure_search",
        "scan": "coarse:measure_scans",
        "S3": "killing:measure_kills",
        "S4": "writing:measure_reading",
        "E": "encoding:measure_encoding",
        "Q3": "kinds:measure_kinds",
        "W1": "weaviate:measure_weaviate",
        "W2": "stores:measure_stores",
        "P1": "lanes:measure_lanes",
        "upload": "uploads:measure_uploads",
        "V1": "events:measure_events",
        "indexing": "indexing:measure_indexing",
        "accepting": "indexing:measure_accepting",
        "lag": "indexing:measure_lag",
        "OT-8": "collecting:measure_collecting",
        "migration": "migration:measure_migration",
        "reconcile": "reconciling:measure_reconciling",
    }
)
"""Where each benchmark is written; its file is imported when it is run."""
NEEDS_FOLDER = frozenset({"Q3", "W2"})
"""Left out of a run of all unless a folder is given."""


async def main(arguments: list[str]) -> int:
    """Measure and write; 1 when the load generator cannot be trusted."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all when none is named")
    parser.add_argument(
        "--folder",
        type=Path,
        help="documents of your own, for I1, I2, I4, Q3 and W2; questions of your own, for C1",
    )
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.rows) - ROWS.keys():
        parser.error(f"there is no {' or '.join(sorted(unknown))}, but {', '.join(ROWS)}")
    if not await shows_a_stall():
        print("the load generator hides a planted stall: nothing was measured")
        return 1
    for name in chosen.rows or [name for name in ROWS if name not in NEEDS_FOLDER or chosen.folder]:
        measure: Measure = resolve_name(f"tools.bench.{ROWS[name]}")
        table = await measure(chosen.folder)
        for goal in table.goals:
            print(
                f"{goal.name}: {goal.measured} (goal {goal.wanted}; {table.beside} {goal.beside})",
                flush=True,
            )
        write(table)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main(sys.argv[1:])))
