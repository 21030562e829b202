"""`make soak-faults`: seeds of faults on a mesh on real servers, onto docs/reference/faults.md.

`make test-faults` runs eight of the same seeds. What is finished of a commit is kept beside, so
that the next call goes on behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults.real.failing import FAULTS
from tests.faults.real.mesh import running_real_mesh
from tests.faults.real.trial import Verdict, run_seed, swept
from tests.folders import folder_in_memory
from tests.soak.keeping import add_lines, kept_of, read_lines
from tests.soak.pages import Row, write_page

SEEDS = 200
A_MESH = 25
"""Seeds on one mesh; then what is left is swept, and the next ones begin anew."""

ABOUT = """\
A mesh of ten processes on Kafka, Weaviate, PostgreSQL, Redis and S3, with a TCP proxy before each
server. Two tenants with documents of the same names create, replace, repeat, retitle, open, close,
delete and restore them over REST and gRPC at two gateways, and search for them in three modes. A
seed decides what is asked for, which two of the faults strike, whom, when and for how long.

Every call is written down with its begin, its end and its answer; one that was not answered may
have happened at any moment since, or never, but once and as a whole. When all is at rest, there
must be an order of the calls in which every answer is right and which ends with what is stored.
Every search must have shown the whole of one revision, none that was replaced or deleted six
seconds before, and nothing of another tenant, or have said that it may be late. Chunks and vectors
in Weaviate, read past the mesh, must be those that a collection holds to which nothing happened,
and a minute later there must be no other."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What is kept of a seed that is finished."""

    seed: int
    faults: tuple[str, ...]
    answered: int
    unknown: int
    refused: int
    searches: int
    chunks: int
    seconds: float
    violations: tuple[str, ...]

    @classmethod
    def of(cls, verdict: Verdict, more: Sequence[str] = ()) -> Seed:
        """What a verdict comes to."""
        return cls(
            verdict.seed,
            verdict.faults,
            verdict.answered,
            verdict.unknown.total(),
            verdict.refused.total(),
            verdict.searches,
            verdict.chunks,
            round(verdict.seconds, 1),
            (*verdict.violations, *more),
        )

    @classmethod
    def read(cls, told: dict[str, Any]) -> Seed:
        """What was kept."""
        lists = {name: tuple(told[name]) for name in ("faults", "violations")}
        return cls(**{**told, **lists})


@dataclass(frozen=True, slots=True)
class Kept:
    """The finished seeds of one commit, a line each."""

    path: Path

    def seeds(self) -> list[Seed]:
        """In order."""
        found = {one["seed"]: Seed.read(one) for one in read_lines(self.path)}
        return [found[seed] for seed in sorted(found)]

    def add(self, seeds: Sequence[Seed]) -> None:
        """Keep more."""
        add_lines(self.path, map(asdict, seeds))


async def run(seeds: Sequence[int], late: float, folder: Path) -> list[Seed]:
    """Seeds on one mesh, and what is left of them a minute later; none begins too late."""
    verdicts: list[Verdict] = []
    with running_real_mesh(folder) as mesh:
        for seed in seeds:
            if time.monotonic() > late:
                break
            verdicts.append(await run_seed(mesh, seed))
            print(verdicts[-1], flush=True)
        left = await swept(mesh, verdicts)
    return [Seed.of(verdict, left.get(verdict.seed, ())) for verdict in verdicts]


def rows(seeds: Sequence[Seed]) -> Iterator[Row]:
    """What all seeds say."""
    struck = Counter(fault for seed in seeds for fault in seed.faults)
    longest = max(seeds, key=lambda seed: seed.seconds)
    yield ("seeds", f"{len(seeds):,}", "-")
    yield ("faults that struck", f"{struck.total():,}", "-")
    yield ("different faults, of all that there are", f"{len(struck)} of {len(FAULTS)}", "-")
    yield ("changes that were answered", f"{sum(seed.answered for seed in seeds):,}", "-")
    yield ("changes that were not answered", f"{sum(seed.unknown for seed in seeds):,}", "-")
    yield ("changes that were refused", f"{sum(seed.refused for seed in seeds):,}", "-")
    yield ("searches that were answered", f"{sum(seed.searches for seed in seeds):,}", "-")
    yield ("chunks compared with a clean run", f"{sum(seed.chunks for seed in seeds):,}", "-")
    yield ("promises broken", f"{sum(len(seed.violations) for seed in seeds):,}", "0")
    yield ("longest seed", f"{longest.seconds:.0f} s ({', '.join(longest.faults)})", "-")


def write(seeds: Sequence[Seed]) -> None:
    """Replace the page."""
    numbers = [seed.seed for seed in seeds]
    minutes = sum(seed.seconds for seed in seeds) / 60
    gaps = "" if len(numbers) == numbers[-1] - numbers[0] + 1 else ", with gaps"
    struck = Counter(fault for seed in seeds for fault in seed.faults)
    write_page(
        "faults.md",
        "Faults",
        f"make soak-faults SEEDS={numbers[-1]}",
        ABOUT,
        extent=f"Seeds {numbers[0]} to {numbers[-1]}{gaps}, {minutes:.0f} minutes",
        rows=[*rows(seeds), *((name, f"{struck[name]} times", "-") for name in sorted(struck))],
    )


def main() -> int:
    """1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--minutes", type=float, default=math.inf)
    chosen = parser.parse_args()
    late = time.monotonic() + 60 * chosen.minutes
    kept = Kept(kept_of("soak-faults"))
    while time.monotonic() < late:
        done = {seed.seed for seed in kept.seeds()}
        left = [seed for seed in range(1, chosen.seeds + 1) if seed not in done]
        if not left:
            break
        with folder_in_memory() as folder:
            kept.add(asyncio.run(run(left[:A_MESH], late, folder)))
        write(kept.seeds())
    broken = [told for seed in kept.seeds() for told in seed.violations]
    print(*broken, sep="\n")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
