"""Programs that look for free ports side by side never meet at one."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import islice

from tools.free_ports import free_ports
from tools.generate_protos import ROOT

SEED, COUNT = 8, 20
_ANOTHER = f"""
import random, sys
from itertools import islice
from tools.free_ports import free_ports
random.seed({SEED})
print(*islice(free_ports(), {COUNT}), flush=True)
sys.stdin.read()
"""


def found() -> set[int]:
    """Looked for in the order in which the other program looks."""
    random.seed(SEED)
    return set(islice(free_ports(), COUNT))


def test_a_port_belongs_to_whoever_was_given_it_until_that_program_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _ANOTHER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as another:
        assert another.stdout is not None
        theirs = {int(word) for word in another.stdout.readline().split()}
        assert len(theirs) == COUNT
        assert not found() & theirs
        another.kill()
    assert found() & theirs
