"""Ten thousand random combinations in which somebody could see what is not theirs."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.soak.isolation import Tally, programme
from tests.soak.pages import write_page

COMBINATIONS = 10_000
_PER_SEED = 1_000
ABOUT = (
    "Three tenants have a collection of the same name with documents of the same ids. In each"
    " combination a random user (tenant, groups, role) looks in a random way (search in every mode,"
    " question with and without the cache, list, counts, jobs, one document) through a random"
    " filter, while documents are uploaded anew, deleted, and given other access. What they are"
    " shown is compared with a model of who may see what. The gateway, indexing, retrieval and the"
    " cache are the real ones; vectors and answers come from fakes."
)


@dataclass
class Report:
    """What all seeds saw."""

    first_seed: int
    tallies: list[Tally] = field(default_factory=list)
    seconds: float = 0.0

    def total(self, name: str) -> int:
        """The sum over all seeds."""
        return sum(int(getattr(tally, name)) for tally in self.tallies)

    @property
    def faults(self) -> list[str]:
        """Everything that was seen and may not be."""
        return [fault for tally in self.tallies for fault in tally.faults]


async def run(first_seed: int, combinations: int, folder: Path) -> Report:
    """Run the programme, a new mesh for every seed."""
    report, begun = Report(first_seed), time.monotonic()
    left, seed = combinations, first_seed
    while left > 0:
        async with programme(folder / str(seed), seed) as made:
            for _ in range(min(left, _PER_SEED)):
                await made.step()
        report.tallies.append(made.tally)
        left, seed = left - _PER_SEED, seed + 1
        print(f"seed {seed - 1}: {made.tally.faults or 'nothing foreign'}", flush=True)
    report.seconds = time.monotonic() - begun
    return report


def write(report: Report, command: str) -> None:
    """Replace the page."""
    last = report.first_seed + len(report.tallies) - 1
    rows = (
        ("combinations", report.total("combinations"), "-"),
        ("changes of documents meanwhile", report.total("changes"), "-"),
        ("passages and citations shown", report.total("shown"), "-"),
        ("documents hidden from somebody who looked", report.total("hidden"), "-"),
        ("answers from the cache", report.total("cached"), "-"),
        (
            "foreign chunks, counts, citations, cache hits, differing errors",
            len(report.faults),
            "0",
        ),
    )
    write_page(
        "isolation.md",
        "Isolation",
        command,
        ABOUT,
        extent=f"Seeds {report.first_seed} to {last}, {report.seconds / 60:.1f} minutes",
        rows=((what, f"{measured:,}", promised) for what, measured, promised in rows),
    )


def main() -> int:
    """1 when anybody saw what is not theirs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--combinations", type=int, default=COMBINATIONS)
    parser.add_argument("--first-seed", type=int, default=1)
    chosen = parser.parse_args()
    with TemporaryDirectory(prefix="ragmesh-isolation-") as folder:
        report = asyncio.run(run(chosen.first_seed, chosen.combinations, Path(folder)))
    write(report, f"make soak-isolation COMBINATIONS={chosen.combinations}")
    print(*report.faults[:20], sep="\n")
    return int(bool(report.faults))


if __name__ == "__main__":
    sys.exit(main())
