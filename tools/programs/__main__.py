"""`make tools`: have the programs that tests and clusters need, so that later starts are quick."""

from __future__ import annotations

import argparse
import sys

from tools.generate_protos import ToolError
from tools.programs.fetching import link_go_programs
from tools.programs.table import GROUPS


def main() -> int:
    """Fetch all groups, or the named ones; 1 when a program cannot be had."""
    parser = argparse.ArgumentParser(prog="tools.programs", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; all if none is named")
    asked = parser.parse_args().groups or list(GROUPS)
    if unknown := set(asked) - set(GROUPS):
        parser.error(f"no group {', '.join(sorted(unknown))}: there are {', '.join(GROUPS)}")
    try:
        for group in asked:
            for program in GROUPS[group]:
                print(f"{group:>8}  {program.fetch()}", flush=True)
            folder = link_go_programs(GROUPS[group])
    except ToolError as error:
        print(f"tools: {error}", file=sys.stderr)
        return 1
    print(f"what was compiled is linked in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
