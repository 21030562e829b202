"""Archives of images, made by hand."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DEBIAN = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u14
Description: GNU C Library

Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13.dfsg-1
"""
SYSTEM = {
    "./var/lib/dpkg/status": DEBIAN,
    "usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\n',
}
_PACKAGES = "opt/ragmesh/lib/python3.11/site-packages"
LIBRARIES = {
    f"{_PACKAGES}/click-8.5.1.dist-info/METADATA": (
        "Name: click\nVersion: 8.5.1\nLicense-Expression: BSD-3-Clause\n\nRead me"
    ),
    f"{_PACKAGES}/lxml-6.1.3.dist-info/METADATA": "Name: lxml\nVersion: 6.1.3\nLicense: BSD-3\n",
    f"{_PACKAGES}/tld-0.13.dist-info/METADATA": (
        "Name: tld\nVersion: 0.13\nLicense: many\n lines of it\n"
        "Classifier: License :: OSI Approved :: MPL 1.1\n"
    ),
    f"{_PACKAGES}/click/core.py": "print()",
}
MODEL = {
    "opt/ragmesh/share/ragmesh/models/mini/manifest.json": json.dumps(
        {"model": "mini", "precision": "exact", "weights_sha256": "5" * 64}
    )
}
PROGRAM = {
    f"{_PACKAGES}/ragmesh-0.2.0.dist-info/METADATA": (
        "Name: ragmesh\nVersion: 0.2.0\nSummary: Answers\nLicense-Expression: Apache-2.0\n"
    )
}


@dataclass(frozen=True, slots=True)
class Runnable:
    """A file that is run, and what it gives to whoever does."""

    mode: int = 0o755
    rights: str = ""
    """Of the kernel, as an extended attribute."""


Files = Mapping[str, str | Runnable]


def write_archive(
    path: Path, layers: Sequence[Files] = (SYSTEM, LIBRARIES, MODEL, PROGRAM)
) -> Path:
    """An image of these layers, with an empty step between them as builders leave them."""
    history = [{"created_by": f"COPY {number}"} for number in range(len(layers))]
    config = {
        "config": {"Labels": {"org.opencontainers.image.version": "0.2.0"}},
        "history": [*history, {"created_by": "USER 10001", "empty_layer": True}],
    }
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["localhost/ragmesh:1"], "Layers": names}]
    files = {"config.json": json.dumps(config), "manifest.json": json.dumps(manifest)}
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            _add(tar, name, text.encode())
        for name, layer in zip(names, layers, strict=True):
            _add(tar, name, layer_of(layer))
    return path


def layer_of(files: Files) -> bytes:
    """A layer's bytes."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, file in files.items():
            if isinstance(file, str):
                _add(tar, name, file.encode())
            else:
                _add_runnable(tar, name, file)
    return written.getvalue()


def packed(layer: bytes) -> int:
    """What a layer weighs when it is pulled."""
    return len(gzip.compress(layer, compresslevel=6))


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _add_runnable(tar: tarfile.TarFile, name: str, file: Runnable) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = file.mode
    if file.rights:
        entry.pax_headers = {"SCHILY.xattr.security.capability": file.rights}
    tar.addfile(entry)
