"""The gate on rooms refuses what it says it refuses, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.check_rooms import find_faults


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A house in order: one tested package with code, and core."""
    write(tmp_path, "services/ragmesh/__init__.py", '"""Root."""')
    write(tmp_path, "services/ragmesh/core/__init__.py", "import json\n")
    write(tmp_path, "services/ragmesh/cache/__init__.py", '"""Cache."""')
    write(tmp_path, "services/ragmesh/cache/service.py", "from ragmesh.core import json\n")
    write(tmp_path, "tests/test_cache.py", "import ragmesh.core\nimport ragmesh.cache.service\n")
    return tmp_path


def write(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def faults(house: Path) -> list[str]:
    return find_faults(house / "services", house / "tests")


def test_a_house_in_order_has_no_fault(house: Path) -> None:
    assert faults(house) == []


def test_a_package_that_no_test_imports_is_refused(house: Path) -> None:
    write(house, "tests/test_cache.py", "import ragmesh.core\nimport ragmesh.cached\n")
    assert faults(house) == ["services/ragmesh/cache: no test imports ragmesh.cache"]


def test_a_subpackage_needs_a_test_of_its_own(house: Path) -> None:
    write(house, "services/ragmesh/cache/adapters/__init__.py", "SIZE = 1\n")
    assert faults(house) == [
        "services/ragmesh/cache/adapters: no test imports ragmesh.cache.adapters"
    ]


def test_an_import_of_a_name_counts_as_an_import_of_its_package(house: Path) -> None:
    write(house, "tests/test_cache.py", "from ragmesh import cache, core\n")
    assert faults(house) == []


def test_generated_code_needs_no_test_and_has_no_size(house: Path) -> None:
    write(house, "services/ragmesh/api/__init__.py", "x = 1\n" * 500)
    assert faults(house) == []


def test_migrations_are_loaded_by_path_and_need_no_import(house: Path) -> None:
    write(house, "services/ragmesh/cache/migrations/__init__.py", "")
    write(house, "services/ragmesh/cache/migrations/versions/__init__.py", "")
    write(house, "services/ragmesh/cache/migrations/versions/0001_first.py", "revision = '1'\n")
    assert faults(house) == []


def test_a_package_with_nothing_but_docstrings_is_refused(house: Path) -> None:
    write(house, "services/ragmesh/cache/service.py", '"""Nothing yet."""\n')
    assert faults(house) == ["services/ragmesh/cache: an empty package"]


def test_a_package_without_init_is_refused(house: Path) -> None:
    (house / "services/ragmesh/cache/__init__.py").unlink()
    assert faults(house) == ["services/ragmesh/cache: a package needs an __init__.py"]


@pytest.mark.parametrize(("lines", "expected"), [(400, 0), (401, 1)])
def test_a_module_has_400_lines_at_most(house: Path, lines: int, expected: int) -> None:
    write(house, "services/ragmesh/cache/service.py", "x = 1\n" * lines)
    assert len(faults(house)) == expected


@pytest.mark.parametrize(("lines", "expected"), [(40, 0), (41, 1)])
def test_a_function_has_40_lines_at_most(house: Path, lines: int, expected: int) -> None:
    body = "async def load():\n" + "    x = 1\n" * (lines - 1)
    write(house, "services/ragmesh/cache/service.py", body)
    assert len(faults(house)) == expected


@pytest.mark.parametrize(
    "statement",
    ["import numpy", "from ragmesh.chassis import clock", "from ..cache import service"],
)
def test_core_imports_the_standard_library_only(house: Path, statement: str) -> None:
    write(house, "services/ragmesh/core/names.py", f"import re\n{statement}\n")
    (fault,) = faults(house)
    assert fault.startswith("services/ragmesh/core/names.py:2: core imports ")


def test_core_may_import_itself_relatively(house: Path) -> None:
    write(house, "services/ragmesh/core/names.py", "from . import ids\nfrom .ids import uid\n")
    assert faults(house) == []


def test_the_parser_worker_imports_parsers_the_chunker_and_core_only(house: Path) -> None:
    write(house, "services/ragmesh/indexing/__init__.py", '"""Indexing."""')
    write(
        house,
        "services/ragmesh/indexing/parser/__init__.py",
        "import docx\n"
        "from ragmesh.core import json\n"
        "from ragmesh.indexing.chunker import chunk\n"
        "from ragmesh.indexing.adapters import catalog\n",
    )
    write(house, "tests/test_parser.py", "import ragmesh.indexing.parser\n")
    assert faults(house) == [
        "services/ragmesh/indexing/parser/__init__.py:4: "
        "the parser worker imports ragmesh.indexing.adapters.catalog"
    ]
