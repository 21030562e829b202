"""Keeps what every example renders to, for `git diff` to show what a change does.

python -m tests.charts.golden
"""

from __future__ import annotations

from tests.charts.conftest import EXAMPLES
from tests.charts.rendering import rendered_text
from tests.charts.test_renderings import GOLDEN


def main() -> None:
    """Write every file."""
    GOLDEN.mkdir(exist_ok=True)
    for one in EXAMPLES:
        text = rendered_text(one.values, chart=one.chart)
        (GOLDEN / f"{one.name}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
