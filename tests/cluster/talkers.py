"""Models of this machine: one that speaks slowly, one that judges and one that encodes slowly."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

JUDGING_SECONDS = 3.0
ENCODING_SECONDS = 1.0
DIMENSION = 16
AT_LENGTH = "Tell me at length: "
"""Before questions that the talker takes a minute for."""
ASKED = "asked: "
"""Before questions, for which the slow encoder does not take its time."""
WORDS = 30
_PAUSE_SECONDS = 2.0
TALKING_SECONDS = WORDS * _PAUSE_SECONDS


class _Slow(BaseHTTPRequestHandler):
    """Reads what it is asked, and says nothing beside."""

    protocol_version = "HTTP/1.0"

    def read(self) -> dict[str, Any]:
        """The body of the request."""
        told: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        return told

    def begin(self, content_type: str) -> None:
        """All that comes before the answer."""
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Talk(_Slow):
    """Answers with a word every two seconds, for a minute, or at once with a sentence."""

    def do_POST(self) -> None:
        is_slow = AT_LENGTH in json.dumps(self.read()["messages"])
        self.begin("text/event-stream")
        for number in range(WORDS if is_slow else 1):
            self._say(
                {"delta": {"content": f"Word{number} " if number else "Owls eat voles [1]. "}}
            )
            time.sleep(_PAUSE_SECONDS * is_slow)
        self._say({"delta": {}, "finish_reason": "stop"})
        self.wfile.write(b"data: [DONE]\n\n")

    def _say(self, choice: dict[str, object]) -> None:
        told = {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
        self.wfile.write(f"data: {json.dumps(told)}\n\n".encode())
        self.wfile.flush()


class _Judge(_Slow):
    """Reranks as Cohere does, and takes its time for it."""

    def do_POST(self) -> None:
        count = len(self.read()["documents"])
        time.sleep(JUDGING_SECONDS)
        scores = [{"index": at, "relevance_score": 1 - at / count} for at in range(count)]
        with suppress(ConnectionError):  # who asked may have left
            self.begin("application/json")
            self.wfile.write(json.dumps({"results": scores}).encode())


class _Encoder(_Slow):
    """Embeds as OpenAI does, a text always the same, and takes its time for passages."""

    def do_POST(self) -> None:
        texts = self.read()["input"]
        if not texts[-1].startswith(ASKED):
            time.sleep(ENCODING_SECONDS)
        rows = [{"index": at, "embedding": _vector_of(text)} for at, text in enumerate(texts)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        told = {"object": "list", "model": "slow", "data": rows, "usage": usage}
        with suppress(ConnectionError):  # who asked may have left
            self.begin("application/json")
            self.wfile.write(json.dumps(told).encode())


def _vector_of(text: str) -> list[float]:
    chance = random.Random(text)
    return [chance.gauss(0, 1) for _ in range(DIMENSION)]


class _Server(ThreadingHTTPServer):
    """One that many may call at a time, and that does not wait for who has left."""

    daemon_threads = True
    request_queue_size = 128


@contextmanager
def slow_talker(host: str) -> Iterator[str]:
    """The URL of a language model that takes a minute for an answer at length."""
    with _serving(host, _Talk) as url:
        yield f"{url}/v1"


@contextmanager
def slow_judge(host: str) -> Iterator[str]:
    """The URL of a reranker that takes JUDGING_SECONDS for every search."""
    with _serving(host, _Judge) as url:
        yield f"{url}/v2/rerank"


@contextmanager
def slow_encoder(host: str) -> Iterator[str]:
    """The URL of an encoder that takes ENCODING_SECONDS for every request with passages."""
    with _serving(host, _Encoder) as url:
        yield f"{url}/v1"


@contextmanager
def _serving(host: str, handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with _Server((host, 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
