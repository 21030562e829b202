"""What a long programme has finished of a commit, so that its next call goes on behind it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.bench.page import commit
from tools.generate_protos import ROOT


def kept_of(programme: str) -> Path:
    """Where a programme keeps what it has finished of the commit that is checked out."""
    return ROOT / ".data" / programme / f"{commit().replace(' ', '-')}.jsonl"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """What was kept, in order."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def add_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Keep more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
