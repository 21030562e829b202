"""Keeps the charts of each release as packages, as Helm would fetch them.

python -m tools.charts.releasing            keeps those of the version in pyproject.toml
python -m tools.charts.releasing --check    fails if they cannot be kept

`make baseline` checks before it keeps anything else: a release is kept whole, or not at all.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from tools.generate_protos import ROOT, ToolError, project_version, version
from tools.programs.table import HELM

CHARTS = ("ragmesh", "ragmesh-operator")
"""What people install."""
_SHARED = "ragmesh-common"
"""What both are made of; it is inside of each."""
RELEASED = ROOT / "charts" / "released"
"""Packages of every release: what later ones are an upgrade from."""


def last_release(chart: str, folder: Path = RELEASED) -> Path:
    """The package of a chart's highest version; ToolError if there was none."""
    packages = list(folder.glob(f"{chart}-[0-9]*.tgz"))
    if not packages:
        raise ToolError(f"{chart} was never released")
    return max(packages, key=lambda package: version(version_of(chart, package)))


def version_of(chart: str, package: Path) -> str:
    """The version of a package, which its name ends with."""
    return package.stem.removeprefix(f"{chart}-")


def refuse_release(number: str, source: Path = ROOT / "charts", folder: Path = RELEASED) -> None:
    """Raise ToolError unless today's charts are of this version, or when it is kept already."""
    version(number)
    for chart in (*CHARTS, _SHARED):
        told = yaml.safe_load((source / chart / "Chart.yaml").read_text(encoding="utf-8"))
        if not told["version"] == told.get("appVersion", number) == number:
            raise ToolError(f"charts/{chart}/Chart.yaml does not say version {number}")
        if (folder / f"{chart}-{number}.tgz").exists():
            raise ToolError(f"{chart} {number} is released already")


def keep_release(number: str, source: Path = ROOT / "charts", folder: Path = RELEASED) -> None:
    """Package today's charts, unless they are refused."""
    refuse_release(number, source, folder)
    for chart in CHARTS:
        subprocess.run(
            [HELM.fetch(), "package", source / chart, "--destination", folder], check=True
        )


def main() -> int:
    """Keep them; the exit code says whether all is well."""
    checks = sys.argv[1:] == ["--check"]
    try:
        (refuse_release if checks else keep_release)(project_version())
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
