"""Every committed text file parses and gives nothing away.

    python tools/check_files.py [FILE…]      without files: all that git tracks

Refused: YAML, TOML and JSON that do not parse, merge markers, private keys and tokens, and an
address in a lock file, which must serve behind any registry.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

# Written with a gap, so that this file does not find itself.
SECRETS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE[ ]KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b"
    rb"|\bsk-[A-Za-z0-9_-]{32,}\b|\bxox[abpr]-[0-9A-Za-z-]{20,}"
)
MERGE = re.compile(rb"^(<{7} |>{7} )", re.MULTILINE)
ADDRESS = re.compile(rb"https?://")
LOCKS = re.compile(r"(^|/)(requirements/.*\.txt|package-lock\.json)$")
TEMPLATES = re.compile(r"(^|/)charts/[^/]+/templates/")


def main(names: list[str]) -> int:
    """Print one line a fault; exit 1 if there is any."""
    root = Path(__file__).resolve().parent.parent
    listed = names or _tracked(root)
    faults = [fault for name in listed for fault in find_faults(name, root / name)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def find_faults(name: str, path: Path) -> Iterator[str]:
    """Yield what is wrong with one file; a file that is gone or a link has no fault."""
    if path.is_symlink() or not path.is_file():
        return
    content = path.read_bytes()
    if b"\0" in content[:8192]:
        return
    if SECRETS.search(content):
        yield f"{name}: holds a private key or a token"
    if MERGE.search(content):
        yield f"{name}: holds a merge marker"
    if LOCKS.search(name) and ADDRESS.search(content):
        yield f"{name}: a lock file names no address"
    fault = None if TEMPLATES.search(name) else _parse_fault(path, content)
    if fault is not None:
        yield f"{name}: {fault}"


def _parse_fault(path: Path, content: bytes) -> str | None:
    try:
        if path.suffix in {".yaml", ".yml"}:
            for _ in yaml.parse(content):
                pass
        elif path.suffix == ".toml":
            tomllib.loads(content.decode())
        elif path.suffix == ".json":
            json.loads(content)
    except (yaml.YAMLError, ValueError) as error:
        return " ".join(str(error).split())
    return None


def _tracked(root: Path) -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    return [name for name in done.stdout.decode().split("\0") if name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
