"""Read every file of a folder as the mesh would, and say what came of each.

    python -m tools.read_folder FOLDER… [--json FILE]

Files may be hostile: they are read by sealed parser processes only, and PDFs once more by pdfium
alone in a process with limits, to compare how much text there is to find. Needs nothing running.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ragmesh.core.errors import RagmeshError
from ragmesh.core.reading import ChunkPlan, ReadDocument, SourceFile
from ragmesh.embedding.adapters.manifest import TOKENIZER_FILE
from ragmesh.embedding.settings import MINILM, default_model_folder
from ragmesh.indexing.adapters.parser_pool import ParserPool
from ragmesh.indexing.parser.kinds import SourceKind, kind_of

_SECONDS = 15
_MEMORY = 1 << 30
_NOT_DOCUMENTS = {"manifest.jsonl", "README.md"}
_PLAIN = f"""
import pypdfium2, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({_SECONDS}, {_SECONDS}))
resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
found = 0
document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
for number in range(len(document)):
    try:
        page = document[number].get_textpage().get_text_range()
    except pypdfium2.PdfiumError:
        continue
    found += sum(not letter.isspace() for letter in page)
print(found)
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file."""

    file: str
    kind: str
    outcome: str
    """`text`, or the reason why there is none."""
    characters: int
    chunks: int
    seconds: float
    plain_characters: int | None = None
    """What pdfium alone finds in a PDF, white space aside; None for other files."""

    @property
    def line(self) -> str:
        """The outcome for people."""
        plain = "" if self.plain_characters is None else f"  pdfium {self.plain_characters}"
        return (
            f"{self.outcome:20} {self.kind:16} {self.characters:>9} characters"
            f" {self.chunks:>5} chunks {self.seconds:6.2f} s{plain}  {self.file}"
        )


def main() -> int:
    """Print a line a file and a summary; 1 when pdfium alone found text where we found none."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes there too")
    arguments = parser.parse_args()
    paths = [path for folder in arguments.folders for path in sorted(folder.rglob("*"))]
    files = [path for path in paths if path.is_file() and path.name not in _NOT_DOCUMENTS]
    outcomes = asyncio.run(_read_all(files))
    if arguments.json is not None:
        rows = [asdict(outcome) for outcome in outcomes]
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return _summarise(outcomes)


async def _read_all(files: Sequence[Path]) -> list[Outcome]:
    # The chunks are cut as the default encoder wants them.
    plan = ChunkPlan((default_model_folder(MINILM) / TOKENIZER_FILE).read_bytes(), 254)
    outcomes = []
    async with ParserPool() as pool:
        for path in files:
            outcome = await _read(pool, plan, path)
            print(outcome.line, flush=True)
            outcomes.append(outcome)
    return outcomes


async def _read(pool: ParserPool, plan: ChunkPlan, path: Path) -> Outcome:
    content = await asyncio.to_thread(path.read_bytes)
    source = SourceFile(content, path.name)
    kind = kind_of(source)
    read: ReadDocument | None = None
    start = time.perf_counter()
    try:
        read = await pool.read(source, plan)
        outcome = "text"
    except RagmeshError as error:
        outcome = error.reason
    seconds = time.perf_counter() - start
    plain = await asyncio.to_thread(_plain, content) if kind is SourceKind.PDF else None
    return Outcome(
        file=path.name,
        kind=kind.name,
        outcome=outcome,
        characters=_visible(read.extraction.text) if read else 0,
        chunks=len(read.chunks) if read else 0,
        seconds=round(seconds, 3),
        plain_characters=plain,
    )


def _plain(content: bytes) -> int:
    """Visible characters that pdfium alone finds; 0 when it fails."""
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _PLAIN],
            input=content, capture_output=True, timeout=2 * _SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 0
    return int(ran.stdout) if ran.returncode == 0 else 0


def _visible(text: str) -> int:
    return sum(not character.isspace() for character in text)


def _summarise(outcomes: Sequence[Outcome]) -> int:
    print(json.dumps(dict(Counter(outcome.outcome for outcome in outcomes).most_common())))
    pdfs = [outcome for outcome in outcomes if outcome.plain_characters is not None]
    ours = sum(outcome.outcome == "text" for outcome in pdfs)
    alone = sum(bool(outcome.plain_characters) for outcome in pdfs)
    print(json.dumps({"pdf": len(pdfs), "pdf_text": ours, "pdf_text_of_pdfium_alone": alone}))
    missed = [o.file for o in pdfs if o.plain_characters and o.outcome != "text"]
    print(json.dumps({"missed": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
