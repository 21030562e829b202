"""`make tools`: have every program that the real servers need, so that later starts are quick."""

from __future__ import annotations

import sys

from tools.generate_protos import ToolError
from tools.servers.table import KINDS


def main() -> int:
    """Fetch all, or the named ones; 1 when one cannot be had."""
    for name in sys.argv[1:] or KINDS:
        try:
            print(f"{name:>10}  {KINDS[name].program.fetch()}", flush=True)
        except ToolError as error:
            print(f"tools: {name}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
