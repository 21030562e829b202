"""`make bench`: every benchmark, onto one page."""

from __future__ import annotations

import sys

from ragmesh.chassis.executors import run
from tools.bench.hop import measure_hop
from tools.bench.loads import shows_a_stall
from tools.bench.page import PAGE, ROOT, write
from tools.bench.question import measure_question


async def main() -> int:
    """Measure and write; 1 when the load generator cannot be trusted."""
    if not await shows_a_stall():
        print("the load generator hides a planted stall: nothing was measured")
        return 1
    tables = [await measure_hop(), await measure_question()]
    for table in tables:
        for goal in table.goals:
            print(
                f"{goal.name}: {goal.measured} (goal {goal.wanted}; {table.beside} {goal.beside})"
            )
    write(tables, "make bench")
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main()))
