"""`python -m ragmesh.indexing.parser FAMILY PARENT_PID CPU_SECONDS ADDRESS_SPACE_BYTES`."""

from __future__ import annotations

import sys
import time

BEGAN = time.perf_counter()

if __name__ == "__main__":
    from ragmesh.indexing.parser.serving import main  # most of the time to start goes here

    main(sys.argv[1:], began=BEGAN)
