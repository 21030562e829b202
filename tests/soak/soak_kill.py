"""`make soak-kill`: seeded rounds of kill -9, onto docs/reference/kills.md.

`make test-faults` runs four of the same rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.rounds import Chain, Tally, replayed
from tests.faults.stores import differences
from tests.soak.pages import write_page

ROUNDS = 200
A_CHAIN = 25
"""Rounds on one folder; then it is compared with a clean run, and the next ones begin anew."""

ABOUT = f"""\
Rounds of `kill -9` on a mesh in one process, under two users who create, replace, repeat, retitle,
open, close, delete and restore eight documents over REST and gRPC, and one who searches by meaning,
by words and by both. A seed decides what is asked for, after how many answers the kill comes,
whether a parser process is killed before it, and whether the next start is killed too. Each start
goes on with what the last kill left.

After every start each document is what the answered operations made of it. An operation that was
under way has happened or has not, as a whole; whichever is found counts from there on. After
{A_CHAIN} rounds a mesh that nothing happens to replays what took place, and the files of both are
compared: every chunk by document, revision, ordinal, span, text, title, metadata and access, its
vector by a cosine of at least 0.99999. There must be no other row, no lost blob and no job that has
not ended well. Searches must find the whole of exactly one revision of the document that is always
there, and never an older one than before."""


@dataclass(slots=True)
class Report:
    """What all chains together came to."""

    first_seed: int
    rounds: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    answers: int = 0
    chunks: int = 0
    differences: list[str] = field(default_factory=list)
    foul: list[str] = field(default_factory=list)

    def add(self, chain: Chain, chunks: int, found: list[str]) -> None:
        """Take over what a chain came to."""
        for one in fields(Tally):
            mine, its = getattr(self.tally, one.name), getattr(chain.tally, one.name)
            slowest = one.name == "slowest_start"
            setattr(self.tally, one.name, max(mine, its) if slowest else mine + its)
        self.answers += chain.reader.answers
        self.foul += chain.reader.foul
        self.chunks += chunks
        self.differences += found


async def run(first_seed: int, rounds: int, minutes: float, folder: Path) -> Report:
    """All rounds, in chains, each compared with a clean run of what had happened.

    No round begins after so many minutes.
    """
    report, begun = Report(first_seed), time.monotonic()
    late = begun + 60 * minutes
    while report.rounds < rounds and time.monotonic() < late:
        first = first_seed + report.rounds
        seeds = range(first, first + min(A_CHAIN, rounds - report.rounds))
        chain = Chain(folder / f"killed-{first}")
        await chain.begin()
        for seed in seeds:
            await chain.round(seed)
            report.rounds += 1
            print(f"seed {seed}: {chain.tally}", flush=True)
            if time.monotonic() > late:
                break
        found = await chain.finish()
        wanted = await replayed(chain.happened, folder / f"clean-{first}")
        report.add(chain, len(wanted.rows), differences(found, wanted))
        print(f"seeds from {first}: {report.differences or 'equal'}", flush=True)
    report.seconds = time.monotonic() - begun
    return report


def write(report: Report, command: str) -> None:
    """Replace the page."""
    tally = report.tally
    last = report.first_seed + report.rounds - 1
    rows = (
        ("rounds, each ended by kill -9 under load", f"{tally.kills:,}", "-"),
        ("starts that were killed as well", f"{tally.kills_of_starts:,}", "-"),
        ("parser processes killed while they read", f"{tally.kills_of_parsers:,}", "-"),
        ("operations that were answered", f"{tally.acknowledged:,}", "-"),
        (
            "operations under way at a kill: happened, did not",
            f"{tally.unsure_happened:,}, {tally.unsure_not:,}",
            "each as a whole",
        ),
        ("chunks compared with a clean run", f"{report.chunks:,}", "-"),
        ("differences", f"{len(report.differences):,}", "0"),
        ("searches meanwhile, in three modes", f"{report.answers:,}", "-"),
        ("searches that saw two revisions, or none", f"{len(report.foul):,}", "0"),
        ("slowest start until ready", f"{tally.slowest_start:.1f} s", "-"),
    )
    write_page(
        "kills.md",
        "Kills",
        command,
        ABOUT,
        extent=f"Seeds {report.first_seed} to {last}, {report.seconds / 60:.0f} minutes",
        rows=rows,
    )


def main() -> int:
    """1 when a kill made any difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf)
    chosen = parser.parse_args()
    with TemporaryDirectory(prefix="ragmesh-kill-") as folder:
        report = asyncio.run(run(chosen.first_seed, chosen.rounds, chosen.minutes, Path(folder)))
    write(report, f"make soak-kill ROUNDS={report.rounds}")
    print(*report.differences, *report.foul, sep="\n")
    return int(bool(report.differences or report.foul))


if __name__ == "__main__":
    sys.exit(main())
