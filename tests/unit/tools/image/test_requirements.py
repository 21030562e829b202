"""Which part of the lock an image installs."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tools.generate_protos import ROOT
from tools.image.requirements import canonical, needed, read_lock, roots

LOCK = """\
# made by `make lock`
alpha==1.0 ; sys_platform != 'win32' \\
    --hash=sha256:aa \\
    --hash=sha256:ab
    # via -r requirements/runtime.in
beta-x==2.0 \\
    --hash=sha256:bb
    # via
    #   -c requirements/constraints.txt
    #   alpha
    #   huggingface-hub
gamma==3.0 \\
    --hash=sha256:cc
    # via beta-x
delta==4.0 \\
    --hash=sha256:dd
    # via huggingface-hub
huggingface-hub==5.0 \\
    --hash=sha256:ee
    # via alpha
"""
EXTRAS = {"gateway": ["Beta_X"], "cache": ["gamma"]}
RUNTIME = "# what a process needs\nalpha>=1\nBeta.X\ngamma\n"


def test_what_is_needed_brings_what_it_needs_itself() -> None:
    names = [package.name for package in needed(read_lock(LOCK), {"alpha"})]

    assert names == ["alpha", "beta-x", "gamma"]


def test_what_only_downloads_models_is_in_no_image_nor_what_it_alone_needs() -> None:
    names = {package.name for package in needed(read_lock(LOCK), {"alpha", "huggingface-hub"})}

    assert names.isdisjoint({"huggingface-hub", "delta"})


def test_hashes_and_markers_of_the_lock_are_kept() -> None:
    alpha = read_lock(LOCK)[0]

    assert alpha.lines == (
        "alpha==1.0 ; sys_platform != 'win32' \\",
        "    --hash=sha256:aa \\",
        "    --hash=sha256:ab",
    )


def test_a_requirement_that_the_lock_does_not_hold_is_refused() -> None:
    with pytest.raises(LookupError, match="not in the lock: omega"):
        needed(read_lock(LOCK), {"omega"})


@pytest.mark.parametrize(
    ("wished", "expected"),
    [
        (["all"], {"alpha", "beta-x", "gamma"}),
        (["gateway"], {"alpha", "beta-x"}),
        (["gateway", "cache"], {"alpha", "beta-x", "gamma"}),
        ([], {"alpha"}),
    ],
    ids=["everything", "one", "two", "what all share"],
)
def test_an_image_asks_for_what_all_share_and_for_its_extras(
    wished: list[str], expected: set[str]
) -> None:
    assert roots(RUNTIME, EXTRAS, wished) == expected


def test_an_extra_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(LookupError, match=r"no such extra: gatway .*there are all, cache, gateway"):
        roots(RUNTIME, EXTRAS, ["gatway"])


def test_all_of_our_lock_is_needed_by_what_we_ask_for_but_what_downloads_models() -> None:
    locked = read_lock(_text("requirements/runtime.txt"))

    kept = {
        package.name
        for package in needed(locked, roots(_text("requirements/runtime.in"), {}, ["all"]))
    }

    downloading = {"huggingface-hub", "hf-xet", "filelock", "fsspec", "tqdm", "colorama"}
    assert {package.name for package in locked} - kept <= downloading


@pytest.mark.parametrize(
    "target", ["gateway", "embedding", "retrieval", "generation", "cache", "indexing"]
)
def test_an_image_for_a_target_holds_every_library_that_its_modules_import(target: str) -> None:
    extras = tomllib.loads(_text("pyproject.toml"))["tool"]["ragmesh"]["extras"]
    asked = roots(_text("requirements/runtime.in"), extras, [target])
    locked = read_lock(_text("requirements/runtime.txt"))
    installed = {package.name for package in needed(locked, asked)}

    distributions = _distributions()
    imported = {
        canonical(name) for library in _libraries(target) for name in distributions[library]
    }

    assert imported <= installed


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Which distributions bring a top-level package."""
    return packages_distributions()


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _libraries(target: str) -> set[str]:
    """Libraries that the service's own files import, and those that they need of the chassis."""
    found: set[str] = set()
    for path in (ROOT / "services" / "ragmesh" / target).rglob("*.py"):
        found |= set(_imports(path))
    return {name for name in found if name not in sys.stdlib_module_names and name != "ragmesh"}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
