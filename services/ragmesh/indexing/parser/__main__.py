"""`python -m ragmesh.indexing.parser PARENT_PID CPU_SECONDS ADDRESS_SPACE_BYTES`."""

from __future__ import annotations

import sys

from ragmesh.indexing.parser.serving import main

if __name__ == "__main__":
    main(sys.argv[1:])
