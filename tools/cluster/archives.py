"""Images of one static program, as archives that a container runtime imports."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

USER = "65532:65532"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def image_of(program: str) -> str:
    """What the image of a program is called."""
    return f"localhost/{program}:1"


def write_archive(archive: Path, program: Path) -> None:
    """An image with nothing but a program, its entry point, and an empty /tmp."""
    with TemporaryDirectory(dir=archive.parent) as scratch:
        layer = Path(scratch) / "layer.tar"
        _write_layer(layer, program)
        with layer.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        image = {
            "architecture": _ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": USER},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        tags = [image_of(program.name)]
        told = [{"Config": "config.json", "RepoTags": tags, "Layers": ["layer.tar"]}]
        with tarfile.open(archive, "w") as tar:
            _add(tar, "config.json", json.dumps(image).encode())
            _add(tar, "manifest.json", json.dumps(told).encode())
            tar.add(layer, "layer.tar")


def _write_layer(layer: Path, program: Path) -> None:
    with tarfile.open(layer, "w") as tar:
        folder = tarfile.TarInfo("tmp")
        folder.type = tarfile.DIRTYPE
        folder.mode = 0o1777
        tar.addfile(folder)
        entry = tar.gettarinfo(program, program.name)
        entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o755, 0, 0, "", ""
        with program.open("rb") as file:
            tar.addfile(entry, file)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
