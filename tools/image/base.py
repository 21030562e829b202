"""A Debian with Python from packages alone: the base where no registry of images is reachable."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.generate_protos import ToolError
from tools.image.builders import Builder
from tools.programs.table import DEBOOTSTRAP

SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
_EMPTIED = ("dev", "proc", "sys", "run", "tmp", "var/cache/apt/archives", "var/lib/apt/lists")


def have_debian_base(builder: Builder) -> str:
    """The name of the base, which is made unless the builder keeps it."""
    reference = f"localhost/ragmesh-base:{SUITE}-{_digest()}"
    if not builder.has(reference):
        print(f"image: making the base {reference}, once", flush=True)
        with TemporaryDirectory(prefix="ragmesh-base-") as scratch:
            root = Path(scratch) / "root"
            _bootstrap(root)
            builder.import_root(root, reference)
    return reference


def _digest() -> str:
    return hashlib.sha256(repr((SUITE, PACKAGES, _EMPTIED)).encode()).hexdigest()[:12]


def _bootstrap(root: Path) -> None:
    program = DEBOOTSTRAP.fetch()
    said = root.with_suffix(".log")
    included = f"--include={','.join(PACKAGES)}"
    command: list[str | Path] = [program, "--variant=minbase", included, SUITE, root]
    with said.open("w") as output:
        done = subprocess.run(command, check=False, stdout=output, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise ToolError(f"debootstrap failed: {said.read_text()[-2000:]}")
    for place in _EMPTIED:
        _empty(root / place)


def _empty(folder: Path) -> None:
    """Remove what lies in a folder of the new system."""
    if folder.is_mount():
        raise ToolError(f"debootstrap left something mounted at {folder}")
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
