"""LanceDB as a process that searches what it is told to; runs in its own environment.

A line in, a line out, both JSON. The first argument is the table's folder, the second the folder
of the corpus. With `open` as the third, it opens, answers one question, says what that took, and
ends.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("RUST_LOG", "error")  # it warns of what its next version returns
import lancedb
import numpy as np
import pyarrow as pa

LIMIT = 10


class Side:
    def __init__(self, table, corpus):
        self.table = table
        self.questions = np.load(corpus / "questions.npy")
        self.words = json.loads((corpus / "words.json").read_text())
        self.model = None

    def build(self):
        """Its index of vectors (IVF_HNSW_SQ, as it comes), of words and of labels."""
        self.table.create_index(metric="cosine", index_type="IVF_HNSW_SQ")
        self.table.create_fts_index("text", replace=True)
        for label in ("wide", "narrow", "few"):
            self.table.create_scalar_index(label, index_type="BITMAP")
        return {"rows": self.table.count_rows()}

    def hybrid(self, number, vector=None):
        number %= len(self.questions)
        vector = self.questions[number] if vector is None else vector
        query = self.table.search(query_type="hybrid").vector(vector).text(self.words[number])
        if not query.limit(LIMIT).select(["number", "text"]).to_list():
            raise RuntimeError("a question of the corpus finds something")

    def one_by_one(self, first, count):
        return [timed(lambda n=n: self.hybrid(n)) for n in range(first, first + count)]

    def bursts(self, first, count, at_once, every):
        taken = []

        def one(number, moment):
            self.hybrid(number)
            taken.append(time.perf_counter() - moment)

        with ThreadPoolExecutor(at_once) as pool:
            begun = time.perf_counter()
            for burst in range(count):
                moment = begun + burst * every
                time.sleep(max(0.0, moment - time.perf_counter()))
                for place in range(at_once):
                    pool.submit(one, first + burst * at_once + place, moment)
        return taken

    def nearest(self, count, label):
        found = []
        for number in range(count):
            query = self.table.search(self.questions[number]).distance_type("cosine")
            if label:
                query = query.where(f"{label} = true", prefilter=True)
            found.append([row["number"] for row in query.limit(LIMIT).to_list()])
        return found

    def embedded(self, path, first, count, threads):
        """Question to text: sentence-transformers in front."""
        if self.model is None:
            import sentence_transformers
            import torch

            torch.set_num_threads(threads)
            self.model = sentence_transformers.SentenceTransformer(path, device="cpu")
            self.model.encode(["warm"], normalize_embeddings=True)

        def one(number):
            words = self.words[number % len(self.words)]
            vector = self.model.encode([words], normalize_embeddings=True, show_progress_bar=False)[
                0
            ]
            self.hybrid(number, vector)

        return [timed(lambda n=n: one(n)) for n in range(first, first + count)]


def timed(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def made(database, corpus):
    vectors = np.load(corpus / "vectors.npy")
    texts = json.loads((corpus / "texts.json").read_text())
    labels = np.load(corpus / "labels.npz")
    rows, width = vectors.shape
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width)
    columns = {"number": pa.array(np.arange(rows)), "vector": column, "text": pa.array(texts)}
    columns |= {name: pa.array(labels[name]) for name in ("wide", "narrow", "few")}
    return database.create_table("chunks", data=pa.table(columns))


def resident_mebibytes():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main(folder, corpus, *how):
    corpus = Path(corpus)
    begun = time.perf_counter()
    database = lancedb.connect(folder)
    if how:
        Side(database.open_table("chunks"), corpus).hybrid(0)
        seconds = time.perf_counter() - begun
        print(json.dumps({"seconds": seconds, "mebibytes": resident_mebibytes()}), flush=True)
        return
    side = Side(made(database, corpus), corpus)
    side.build()
    print(json.dumps({"lancedb": lancedb.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        method = getattr(side, request.pop("do"))
        print(json.dumps({"answer": method(**request)}), flush=True)


main(*sys.argv[1:])
