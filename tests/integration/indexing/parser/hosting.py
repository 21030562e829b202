"""A pool of fallen parsers, run as whoever starts this: `python hosting.py < attacks.json`.

Prints one JSON line: who reads, behind which walls, what came of each attack, and the processes.
Then one parser is kept busy, and this waits to be killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from ragmesh.core.errors import RagmeshError
from ragmesh.core.reading import ChunkPlan, SourceFile
from ragmesh.indexing.adapters import parser_process
from ragmesh.indexing.adapters.parser_pool import ParserPool, PoolLimits

OBEDIENT = Path(__file__).with_name("obedient.py")
ATTACK = "attack.txt"
TOKENIZER = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]")).to_str().encode()
PLAN = ChunkPlan(TOKENIZER, 64)


async def attack(pool: ParserPool, code: str) -> str:
    """What a parser tells of an attack, or the reason why it tells nothing."""
    source = SourceFile(f"PARENT = {os.getpid()}\n{code}".encode(), ATTACK)
    try:
        return (await pool.read(source, PLAN)).extraction.text
    except RagmeshError as error:
        return error.reason


async def main() -> None:
    """Attack, tell, and stay."""
    attacks = json.load(sys.stdin)
    parser_process._PROGRAM = (str(OBEDIENT),)  # type: ignore[assignment]
    async with ParserPool(PoolLimits(size=1)) as pool:
        confinement = await pool.confinement()
        outcomes = {name: await attack(pool, code) for name, code in attacks.items()}
        busy = asyncio.ensure_future(attack(pool, "while True: pass"))
        await asyncio.sleep(0.2)  # until the busy one has its file
        told = {
            "uid": os.getuid(),
            "user": confinement.user,
            "missing": [str(wall) for wall in confinement.missing],
            "outcomes": outcomes,
            "pids": [process.pid for process in pool._alive],
        }
        print(json.dumps(told), flush=True)
        await busy


if __name__ == "__main__":
    asyncio.run(main())
