"""What lies in an archive of an image, read without unpacking it."""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, by what an image's history says of it."""

    made_by: str
    unpacked_bytes: int
    packed_bytes: int
    """What a registry keeps and a node pulls: compressed by gzip."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An image as `docker save` and `buildah push docker-archive:` write it."""

    path: Path

    def layers(self) -> list[Layer]:
        """Its layers, from the bottom up."""
        with self._opened() as tar:
            history = [
                step["created_by"]
                for step in _config(tar)["history"]
                if not step.get("empty_layer")
            ]
            sizes = [_sizes(_member(tar, name)) for name in _manifest(tar)["Layers"]]
        return [Layer(made_by, *size) for made_by, size in zip(history, sizes, strict=True)]

    def labels(self) -> dict[str, str]:
        """What it says of itself."""
        with self._opened() as tar:
            labels: dict[str, str] = _config(tar)["config"].get("Labels") or {}
        return labels

    def texts(self, wanted: Callable[[str], bool]) -> dict[str, str]:
        """The files whose path is wanted, as the topmost layer has them."""
        found: dict[str, str] = {}
        for layer, entry in self._walked():
            path = entry.name.removeprefix("./")
            if entry.isfile() and wanted(path):
                content = layer.extractfile(entry)
                found[path] = content.read().decode() if content else ""
        return found

    def entries(self) -> Iterator[tarfile.TarInfo]:
        """All that its layers hold, from the bottom up, also what a later one replaces."""
        for _, entry in self._walked():
            yield entry

    def _walked(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        """Each entry in the layer that holds it, whose content can be read until the next."""
        with self._opened() as tar:
            for name in _manifest(tar)["Layers"]:
                with tarfile.open(fileobj=_member(tar, name), mode="r|*") as layer:
                    for entry in layer:
                        yield layer, entry

    @contextmanager
    def _opened(self) -> Iterator[tarfile.TarFile]:
        with tarfile.open(self.path) as tar:
            yield tar


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    content = tar.extractfile(name)
    if content is None:
        raise LookupError(f"{name} is no file of the archive")
    return content


def _manifest(tar: tarfile.TarFile) -> dict[str, Any]:
    images: list[dict[str, Any]] = json.load(_member(tar, "manifest.json"))
    (manifest,) = images
    return manifest


def _config(tar: tarfile.TarFile) -> dict[str, Any]:
    config: dict[str, Any] = json.load(_member(tar, _manifest(tar)["Config"]))
    return config


def _sizes(layer: IO[bytes]) -> tuple[int, int]:
    packer = zlib.compressobj(wbits=31)
    unpacked = packed = 0
    while chunk := layer.read(_CHUNK):
        unpacked += len(chunk)
        packed += len(packer.compress(chunk))
    return unpacked, packed + len(packer.flush())
