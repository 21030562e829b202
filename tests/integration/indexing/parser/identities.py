"""Who may run a mesh: the tests' own user, a user without rights, root without capabilities."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
POD_USER = 10_001

OWN = "the user of the tests"
POD = f"uid {POD_USER}, as in a restricted pod"
BARE_ROOT = "root without capabilities"
IDENTITIES = (OWN, POD, BARE_ROOT)

_NO_CAPABILITIES = ("--bounding-set=-all", "--inh-caps=-all")


def command_as(identity: str, stage: Path) -> list[str]:
    """What to put before a command so that it runs as that; skips where this user may not."""
    if identity == OWN:
        return []
    command = _bare_root() if identity == BARE_ROOT else _pod_user(stage)
    if not shutil.which("setpriv") or not shutil.which("unshare"):
        pytest.skip("setpriv and unshare are not installed")
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"only a root with all its capabilities can be that: {tried.stderr.strip()}")
    return command


def _bare_root() -> list[str]:
    return ["setpriv", "--reuid=0", *_NO_CAPABILITIES]


def _pod_user(stage: Path) -> list[str]:
    user = [f"--reuid={POD_USER}", f"--regid={POD_USER}", "--clear-groups", "--no-new-privs"]
    become = ["setpriv", *user, *_NO_CAPABILITIES]
    way = _way_in(stage)
    return ["unshare", "--mount", "sh", "-ec", f'{way}exec "$@"', "sh", *become] if way else become


def _way_in(stage: Path) -> str:
    """Shell lines that show interpreter and checkout at their places below a closed folder.

    They run in a mount namespace of their own: nobody else sees them.
    """
    closed: dict[Path, list[Path]] = {}
    for path in dict.fromkeys(Path(place) for place in (sys.base_prefix, sys.prefix, ROOT)):
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001:
                closed.setdefault(folder, []).append(path)
                break
    lines = ""
    for folder, paths in closed.items():
        places = [(path, stage / f"{len(lines)}-{count}") for count, path in enumerate(paths)]
        for path, place in places:
            place.mkdir()
            lines += f"mount --bind '{path}' '{place}'\n"
        lines += f"mount -t tmpfs -o mode=755 none '{folder}'\n"
        for path, place in places:
            lines += f"mkdir -p '{path}'\nmount --bind '{place}' '{path}'\n"
    return lines
