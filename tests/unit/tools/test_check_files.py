"""The gate on files refuses what does not parse and what must not be committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.check_files import find_faults

KEY = "-----BEGIN PRIVATE " + "KEY-----"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "a: [1\n"),
        ("a.toml", "a = \n"),
        ("a.json", "{,}"),
        ("notes.txt", f"{KEY}\nAAAA\n"),
        ("a.py", "<<<<<<< HEAD\n"),
        ("requirements/dev.txt", "--index-url https://packages.example/simple\n"),
        ("tools/buf/package-lock.json", '{"resolved": "https://packages.example/a.tgz"}'),
    ],
)
def test_a_faulty_file_is_named_once(tmp_path: Path, name: str, text: str) -> None:
    (fault,) = find_faults(name, write(tmp_path, name, text))
    assert fault.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "a: 1\n---\nb: !tag 2\n"),
        ("charts/ragmesh/templates/pod.yaml", "{{- if .Values.a }}\n"),
        ("a.json", "[]"),
        ("README.md", "Read https://packages.example/\n=======\n"),
    ],
)
def test_a_good_file_has_no_fault(tmp_path: Path, name: str, text: str) -> None:
    assert list(find_faults(name, write(tmp_path, name, text))) == []


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
