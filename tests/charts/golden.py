"""Keeps what every example renders to, for `git diff` to show what a change does.

python -m tests.charts.golden
"""

from __future__ import annotations

from tests.charts.conftest import NAMES
from tests.charts.rendering import example, rendered_text
from tests.charts.test_renderings import GOLDEN


def main() -> None:
    """Write every file."""
    GOLDEN.mkdir(exist_ok=True)
    for name in NAMES:
        (GOLDEN / f"{name}.yaml").write_text(rendered_text(example(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
