"""One mesh on real servers for all tests of this folder; each keeps to tenants of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.real.mesh import RealMesh, running_real_mesh
from tests.folders import folder_in_memory


@pytest.fixture(scope="package")
def mesh() -> Iterator[RealMesh]:
    with folder_in_memory() as folder, running_real_mesh(folder) as made:
        yield made
