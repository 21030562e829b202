"""Ways from an operator to its API server and its mesh, on which it is killed behind its writes.

The write is done, and the operator never hears of it: what passes is what it sent, byte by byte,
and the process is killed from outside between the answer of a server and its arrival.
"""

from __future__ import annotations

import signal
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import grpc

from tests.servers.operator.api_server import KubeServer
from tests.servers.operator.processes import RunningOperator
from tools.free_ports import LOOPBACK

_READS = ("Get", "List", "Watch")
_HEALTH = "/grpc.health.v1.Health/Watch"
_ONE_HOP = frozenset({"host", "connection", "content-length", "accept-encoding"})
_PIECE = 65_536
_SECONDS = 90.0


@dataclass
class Kills:
    """Ends an operator behind each of its writes, and says what these were.

    One that died sends its last write again, since nobody told it that it was done: behind that it
    lives on, or it would never come any further.
    """

    operator: RunningOperator | None = None
    writes: list[str] = field(default_factory=list)
    """Those that it was killed behind."""
    _last: tuple[str, bytes] | None = None

    def behind(self, what: str, content: bytes) -> bool:
        """A server has done it; whether nobody is to hear of that."""
        process = None if self.operator is None else self.operator.process
        if process is None or (what, content) == self._last:
            self._last = None
            return False
        self._last = (what, content)
        self.writes.append(what)
        process.send(signal.SIGKILL)
        return True


@contextmanager
def severed(
    operator: RunningOperator, kube: KubeServer, token: str, kills: Kills
) -> Iterator[None]:
    """Have the operator die and start anew, write by write, for as long as the block lasts."""
    with _way_to_api(kube, kills) as api, _way_to_mesh(operator, kills) as address:
        there = replace(kube, url=api, folder=kube.folder / "severed")
        there.folder.mkdir(exist_ok=True)
        mesh = replace(operator.mesh, ready={**operator.mesh.ready, "internal_grpc": address})
        kills.operator = replace(operator, mesh=mesh, kubeconfig=there.kubeconfig(token))
        with _started_again_and_again(kills.operator):
            yield


@contextmanager
def _started_again_and_again(operator: RunningOperator) -> Iterator[None]:
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(0.05):
            if operator.process is None or not operator.process.runs:
                operator.start()

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        operator.kill()


class _ToApi(BaseHTTPRequestHandler):
    """Hands requests on to an API server; an answer comes back piece by piece, as watches need."""

    protocol_version = "HTTP/1.1"
    upstream: str
    kills: Kills

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kept = {name: told for name, told in self.headers.items() if name.lower() not in _ONE_HOP}
        server = HTTPSConnection(
            self.upstream, context=ssl._create_unverified_context(), timeout=_SECONDS
        )
        try:
            server.request(self.command, self.path, body or None, kept)
            reply = server.getresponse()
            if self._is_done(reply.status) and self.kills.behind(self._what(), body):
                self.close_connection = True
                return
            with suppress(OSError, HTTPException):  # one of both is gone
                self._answer(reply)
        finally:
            server.close()

    def _is_done(self, status: int) -> bool:
        """Whether something was written."""
        return self.command != "GET" and status < HTTPStatus.BAD_REQUEST

    def _what(self) -> str:
        return f"{self.command} {urlsplit(self.path).path}"

    def _answer(self, reply: Any) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.getheader("Content-Type", "application/json"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := reply.read1(_PIECE):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_PATCH(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def _way_to_api(kube: KubeServer, kills: Kills) -> Iterator[str]:
    upstream = urlsplit(kube.url).netloc
    way = type("Way", (_ToApi,), {"upstream": upstream, "kills": kills})
    server = ThreadingHTTPServer((LOOPBACK, 0), way)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class _ToMesh(grpc.GenericRpcHandler):  # type: ignore[misc,unused-ignore]
    """Hands calls on to a mesh, whatever they are."""

    channel: grpc.Channel
    kills: Kills

    def service(self, handler_call_details: Any) -> Any:
        method: str = handler_call_details.method
        if method == _HEALTH:
            return grpc.unary_stream_rpc_method_handler(self._watch)
        return grpc.unary_unary_rpc_method_handler(partial(self._pass_on, method))

    def _watch(self, request: bytes, context: Any) -> Iterator[bytes]:
        """Whether the mesh serves, for as long as somebody wants to know."""
        watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(_HEALTH)
        call = watch(request)
        context.add_callback(call.cancel)
        with suppress(grpc.RpcError):
            yield from call

    def _pass_on(self, method: str, request: bytes, context: Any) -> bytes:
        told = tuple(one for one in context.invocation_metadata() if one.key != "user-agent")
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(method)
        try:
            reply = call(request, timeout=context.time_remaining(), metadata=told)
        except grpc.RpcError as error:
            context.set_trailing_metadata(error.trailing_metadata())
            context.abort(error.code(), error.details())
            raise
        name = method.rpartition("/")[2]
        if not name.startswith(_READS) and self.kills.behind(name, request):
            context.abort(grpc.StatusCode.UNAVAILABLE, "nobody is there any more")
        return reply


@contextmanager
def _way_to_mesh(operator: RunningOperator, kills: Kills) -> Iterator[str]:
    with grpc.insecure_channel(operator.mesh.ready["internal_grpc"]) as channel:
        server = grpc.server(ThreadPoolExecutor(32))
        server.add_generic_rpc_handlers((_ToMesh(channel, kills),))
        port = server.add_insecure_port(f"{LOOPBACK}:0")
        server.start()
        try:
            yield f"{LOOPBACK}:{port}"
        finally:
            server.stop(0).wait()
