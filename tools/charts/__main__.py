"""Writes what follows from each chart's values.yaml: values.schema.json and README.md.

python -m tools.charts            writes them (`make docs`)
python -m tools.charts --check    names the stale ones and fails (`make verify`)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from tools.charts.readme import readme_text
from tools.charts.schema import schema_of, schema_text
from tools.charts.values import read_values
from tools.generate_protos import ROOT, ToolError

CHARTS = ROOT / "charts"


def main(arguments: list[str]) -> int:
    """Write, or with --check only name, every file that is not what values.yaml says."""
    try:
        stale = [(path, text) for path, text in made_files(CHARTS) if _read(path) != text]
    except ToolError as error:
        print(f"charts: {error}", file=sys.stderr)
        return 1
    for path, text in stale:
        name = path.relative_to(ROOT)
        if arguments == ["--check"]:
            print(f"{name} is stale: run `make docs`")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if stale and arguments == ["--check"] else 0


def made_files(charts: Path) -> Iterator[tuple[Path, str]]:
    """Every file that is made, with what belongs into it."""
    for source in sorted(charts.glob("*/values.yaml")):
        folder = source.parent
        chart = yaml.safe_load((folder / "Chart.yaml").read_text(encoding="utf-8"))
        values = read_values(source)
        dependencies = [one["name"] for one in chart.get("dependencies", ())]
        yield folder / "values.schema.json", schema_text(schema_of(values, dependencies))
        yield folder / "README.md", readme_text(chart, values)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
