"""The import contracts name every technology there is, so that a new one cannot slip past."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def contract(name: str) -> dict[str, Any]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    (found,) = [c for c in contracts if c["name"] == name]
    return found


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def required() -> set[str]:
    lines = (ROOT / "requirements/runtime.in").read_text(encoding="utf-8").splitlines()
    names = (re.match(r"[A-Za-z0-9_.-]+", line) for line in lines if not line.startswith("#"))
    return {canonical(name.group()) for name in names if name}


def test_core_ports_and_use_cases_are_forbidden_every_runtime_requirement() -> None:
    forbidden = set(
        contract("Core, evaluation, ports and use cases know no transport and no technology")[
            "forbidden_modules"
        ]
    )
    importable: dict[str, set[str]] = {}
    for module, distributions in packages_distributions().items():
        for distribution in distributions:
            importable.setdefault(canonical(distribution), set()).add(module)
    missing = {name for name in required() if not importable.get(name, set()) & forbidden}
    assert not missing, f"forbid these in pyproject.toml too: {sorted(missing)}"
