"""sentence-transformers as a process that encodes what it is sent; runs in its own environment.

A line in, a line out, both JSON. `{"texts": […], "batch": 32}` is answered by the seconds that it
took, and the vectors lie in the file that the first argument names.
"""

import json
import sys
import time

import numpy as np
import sentence_transformers
import torch


def main(vectors: str, model: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    encoder = sentence_transformers.SentenceTransformer(model, device="cpu")
    encoder.encode(["warm"], normalize_embeddings=True)
    versions = {"sentence-transformers": sentence_transformers.__version__}
    print(json.dumps({**versions, "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        texts, size = request["texts"], request["batch"]
        begun = time.perf_counter()
        # A call a batch where order is kept: within one call the library sorts by length.
        parts = [texts] if request["sorted"] else batches(texts, size)
        found = [
            encoder.encode(
                part, batch_size=size, normalize_embeddings=True, show_progress_bar=False
            )
            for part in parts
        ]
        seconds = time.perf_counter() - begun
        np.save(vectors, np.concatenate(found))
        print(json.dumps({"seconds": seconds}), flush=True)


def batches(texts: list[str], size: int) -> list[list[str]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]


main(*sys.argv[1:])
