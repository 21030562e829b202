"""A model of this machine, which speaks slowly."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_PAUSE_SECONDS = 2.0


class _Talk(BaseHTTPRequestHandler):
    """Answers everything with a word every two seconds, for a minute."""

    WORDS = 30
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for number in range(self.WORDS):
            self._say(
                {"delta": {"content": f"Word{number} " if number else "Owls eat voles [1]. "}}
            )
            time.sleep(_PAUSE_SECONDS)
        self._say({"delta": {}, "finish_reason": "stop"})
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _say(self, choice: dict[str, object]) -> None:
        told = {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
        self.wfile.write(f"data: {json.dumps(told)}\n\n".encode())
        self.wfile.flush()


@contextmanager
def slow_talker(host: str) -> Iterator[str]:
    """The URL of one, for the time of the block."""
    with ThreadingHTTPServer((host, 0), _Talk) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
