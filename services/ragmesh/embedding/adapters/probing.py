"""Texts with known vectors notice that another model answers under the old name.

An endpoint tells no checksum of its weights. What it answered when it was first met is kept in a
file named after the encoder's fingerprint, and compared ever after: vectors of two models are not
comparable, and mixing them ruins an index without an error.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragmesh.chassis.files import make_folder_durably, write_durably
from ragmesh.core.clock import Clock
from ragmesh.core.errors import EncoderChangedError, StoreDamagedError, StoreUnusableError
from ragmesh.core.vectors import Fingerprint

PROBES = (
    "The ferry leaves at noon on weekdays, and later on Sundays.",
    "Der Zähler stand am 3. Mai auf 4711,5 kWh.",
    "def total(rows): return sum(row.amount for row in rows)",
)
LEAST_LIKENESS = 0.998
"""A provider's vectors of one text differ in the fourth digit, by batch and machine; those of
another precision of the same weights in the second."""

Floats = npt.NDArray[np.float32]


class Probe:
    """The vectors of the probes as they were first seen, and when they were last compared."""

    def __init__(
        self, folder: Path, fingerprint: Fingerprint, *, every_seconds: float, clock: Clock
    ) -> None:
        self._path = folder / f"{fingerprint.digest}.json"
        self._model = fingerprint.model
        self._every_seconds = every_seconds
        self._clock = clock
        self._known = _read(self._path)
        self._good_until: float | None = None

    @property
    def due(self) -> bool:
        """Whether the probes have to go along with the next request."""
        return self._good_until is None or self._clock.monotonic() >= self._good_until

    def compare(self, vectors: Floats) -> None:
        """Keep the vectors of the probes, or raise ENCODER_CHANGED when known ones differ."""
        if self._known is None:
            _write(self._path, vectors)
            self._known = vectors
        likeness = float(np.einsum("ij,ij->i", vectors, self._known).min())
        if likeness < LEAST_LIKENESS:
            self._good_until = None  # every request asks again, so that a model put back is used
            raise EncoderChangedError(
                f"the model behind {self._model} is another one than the index was made with "
                f"(likeness {likeness:.3f}): give it a new `revision`, which makes a new encoder, "
                "or put the old model back",
                metadata={"model": self._model, "path": str(self._path)},
            )
        self._good_until = self._clock.monotonic() + self._every_seconds


def _read(path: Path) -> Floats | None:
    try:
        kept = json.loads(path.read_bytes())
        rows: Sequence[bytes] = [base64.b64decode(row) for row in kept["vectors"]]
        known = np.array([np.frombuffer(row, "<f4") for row in rows])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error
    if known.ndim != 2 or len(known) != len(PROBES):
        raise _damaged(path)
    return known


def _damaged(path: Path) -> StoreDamagedError:
    return StoreDamagedError(
        f"{path} does not hold what a model answered; if it is still the same model, delete it",
        metadata={"path": str(path)},
    )


def _write(path: Path, vectors: Floats) -> None:
    rows = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
    try:
        make_folder_durably(path.parent)
        write_durably(path, json.dumps({"probes": PROBES, "vectors": rows}).encode())
    except OSError as error:
        raise StoreUnusableError(
            f"what a model answers first cannot be kept in {path.parent}: {error.strerror}",
            metadata={"path": str(path)},
        ) from error
