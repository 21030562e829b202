"""The manifest of a model folder says what every file must be; nothing unchecked is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path

from ragmesh.core.errors import ModelCorruptError, ModelMissingError

MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
FORMAT_VERSION = 1
IDS, MASK = "input_ids", "attention_mask"
"""Inputs of the graph."""
TOKEN_VECTORS, SENTENCE_VECTORS = "token_embeddings", "sentence_embedding"
"""Outputs of the graph: the last hidden state, and its mean at unit length."""
REMEDY = "run `make model` to make it"
EXACT, FAST = "fp32", "int8"
"""Precisions of a graph. The vectors of an int8 graph depend on what else is in the call."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model folder holds and what it was made from."""

    format_version: int
    model: str
    weights_sha256: str
    """Of the published weights the graph was exported from."""
    precision: str
    dimension: int
    max_tokens: int
    """The window, special tokens counted."""
    special_tokens: int
    """How many of the window's tokens the tokenizer adds by itself."""
    languages: tuple[str, ...]
    files: Mapping[str, str]
    """SHA-256 by file name."""

    def to_json(self) -> bytes:
        """The manifest as it is stored."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in lower-case hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The folder's manifest; its files are not looked at."""
    path = folder / MANIFEST_FILE
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelMissingError(
            f"there is no model in {folder}: {REMEDY}", metadata={"path": str(folder)}
        ) from None
    try:
        fields = json.loads(content)
        languages, files = tuple(fields["languages"]), dict(fields["files"])
        manifest = Manifest(**{**fields, "languages": languages, "files": files})
    except (ValueError, TypeError, KeyError) as error:
        raise _corrupt(path, "is not a manifest") from error
    if manifest.format_version != FORMAT_VERSION:
        raise _corrupt(path, f"has format {manifest.format_version}, not {FORMAT_VERSION}")
    if not {MODEL_FILE, TOKENIZER_FILE} <= manifest.files.keys():
        raise _corrupt(path, "does not name the model's files")
    return manifest


def read_checked_manifest(folder: Path) -> Manifest:
    """The folder's manifest, once every file of it was found to be what it promises."""
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        try:
            found = sha256_of(path)
        except FileNotFoundError:
            raise ModelMissingError(
                f"{path} is missing: {REMEDY}", metadata={"path": str(path)}
            ) from None
        if found != expected:
            raise _corrupt(path, "is not the file that the manifest describes")
    return manifest


def _corrupt(path: Path, what: str) -> ModelCorruptError:
    return ModelCorruptError(f"{path} {what}: {REMEDY} anew", metadata={"path": str(path)})
