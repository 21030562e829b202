"""What every HTTP request passes before it is read: its id, developer mode's guard, its size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from urllib.parse import unquote_plus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragmesh.chassis.callers import calling
from ragmesh.chassis.requests import (
    IDEMPOTENCY_HEADER,
    REQUEST_ID_HEADER,
    accept_idempotency_key,
    accept_request_id,
    serving,
)
from ragmesh.chassis.wire import as_mesh_error
from ragmesh.core.api_keys import holds_key
from ragmesh.core.callers import Principal
from ragmesh.core.errors import (
    BodyTooLargeError,
    BodyTooSlowError,
    KeyInUrlError,
    RagmeshError,
    UnavailableError,
    Violation,
)
from ragmesh.gateway.adapters.rest.admission import (
    brings_documents,
    priority_of,
    rate_limit_headers,
)
from ragmesh.gateway.adapters.rest.origins import Origins
from ragmesh.gateway.adapters.rest.problems import problem_response
from ragmesh.gateway.adapters.rest.reading import reading
from ragmesh.gateway.authorization import EVERYBODY, refuse_without, roles_of_route, template_of
from ragmesh.gateway.books import noting_refusals
from ragmesh.gateway.developer_mode import (
    FORM_HEADER,
    refuse_bare_form,
    refuse_foreign_host,
    refuse_foreign_origin,
)
from ragmesh.gateway.limiting.patience import Patience
from ragmesh.gateway.limiting.visits import Visit
from ragmesh.gateway.ports import Identity
from ragmesh.gateway.room import Share
from ragmesh.gateway.service import GatewayService

_KEY_PARAMETERS = frozenset({"api_key", "apikey", "api-key", "access_token", "authorization"})


def guard_developer_mode(headers: Headers) -> None:
    """Refuse what a page of elsewhere could have sent."""
    origins = headers.getlist("origin")
    refuse_foreign_host(headers.getlist("host"))
    refuse_foreign_origin(origins, headers.get("sec-fetch-site", ""))
    refuse_bare_form(origins, headers.get("content-type", ""), headers.get(FORM_HEADER, ""))


def refuse_key_in_url(scope: Scope) -> None:
    """Raise KeyInUrlError for a key where logs and histories keep it."""
    query = unquote_plus(scope.get("query_string", b"").decode("latin-1"))
    names = {part.partition("=")[0].lower() for part in query.split("&")}
    if holds_key(query) or holds_key(scope["path"]) or names & _KEY_PARAMETERS:
        raise KeyInUrlError(
            "API keys are sent as `Authorization: Bearer`, never in the URL; have this one rotated"
        )


class Door:
    """The outermost ASGI app: whatever goes wrong below it becomes a problem."""

    def __init__(
        self,
        app: ASGIApp,
        service: GatewayService,
        identity: Identity,
        origins: Origins,
    ) -> None:
        self.app = app
        self._origins = origins
        self._books = service.books
        self._identity = identity
        self._gate = service.gate
        self._limits = service.limits
        self._spans = service.spans
        self.room = service.room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within its id."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        request_id = accept_request_id(headers.get(REQUEST_ID_HEADER))
        answer = _Answer(send, request_id, self._origins, headers.get("origin", ""))
        async with AsyncExitStack() as visiting:
            served = visiting.enter_context(serving(request_id))
            visiting.enter_context(reading(scope, self._spans))
            try:
                if self._identity.is_developer_mode:
                    guard_developer_mode(headers)
                preflight = self._origins.preflight(scope["method"], headers)
                if preflight is not None:
                    await preflight(scope, receive, answer.send)
                    return
                refuse_key_in_url(scope)
                caller = self._caller(scope, headers)
                served.idempotency_key = accept_idempotency_key(headers.get(IDEMPOTENCY_HEADER))
                if caller is not None:
                    answer.visit = self._gate.approach(caller)
                    await visiting.enter_async_context(self._admitted(answer.visit, scope))
                body = self._body(scope, receive, visiting.enter_context(self.room.share()))
                body.refuse_announced(headers)
                with calling(caller):
                    await self.app(scope, body.receive, answer.unless(body))
                error = body.error
            except asyncio.CancelledError:
                error = answer.reason_of_cancelling()
                if error is None:
                    raise
            except Exception as raised:
                error = as_mesh_error(raised)
            if error is not None and not answer.started:
                await _response(error, scope["path"])(scope, receive, answer.send)

    def _caller(self, scope: Scope, headers: Headers) -> Principal | None:
        """Who asks, when the route is theirs; None where nobody needs to be known."""
        roles = roles_of_route(scope["method"], scope["path"])
        if roles == EVERYBODY:
            return None
        principal = self._identity.identify(headers.getlist("authorization"))
        if roles is None:
            # The router says what is wrong: no use case behind it works without a caller.
            return None
        with noting_refusals(self._books, principal, template_of(scope["path"])):
            refuse_without(principal, roles)
        return principal

    def _admitted(self, visit: Visit, scope: Scope) -> AbstractAsyncContextManager[None]:
        method, path = scope["method"], scope["path"]
        uploads = brings_documents(method, path)
        return self._gate.admit(visit, priority_of(method, path), uploads=uploads)

    def _body(self, scope: Scope, receive: Receive, share: Share) -> _Body:
        uploads = brings_documents(scope["method"], scope["path"])
        limit = self._limits.body_bytes if uploads else self._limits.json_bytes
        held = share if uploads else None
        return _Body(receive, limit, held, pause_seconds=self._limits.body_pause_seconds)


def _response(error: RagmeshError, path: str) -> Response:
    response = problem_response(error, path)
    if isinstance(error, BodyTooSlowError):
        response.headers["Connection"] = "close"  # its rest would be taken for a request
    return response


class _Answer:
    """What goes out; knows whether it has begun."""

    def __init__(self, send: Send, request_id: str, origins: Origins, origin: str) -> None:
        self._send = send
        self._request_id = request_id
        self._origins = origins
        self._origin = origin
        self.started = False
        self.visit: Visit | None = None
        """Who was at the gate, let in or not."""

    def reason_of_cancelling(self) -> RagmeshError | None:
        """What to say instead; None = nothing, as it is the server's to cut the answer off."""
        refusal = None if self.visit is None else self.visit.refusal_instead()
        if refusal is not None or self.started:
            return refusal
        # Only a server that stops cancels; its own answer would call this a defect.
        return UnavailableError("the mesh stops before this request is done")

    async def send(self, message: Message) -> None:
        """Send, with the request's id in the headers."""
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID_HEADER] = self._request_id
            headers.setdefault("x-content-type-options", "nosniff")
            self._origins.mark(self._origin, headers)
            if self.visit is not None:
                headers.update(rate_limit_headers(self.visit))
        await self._send(message)

    def unless(self, body: _Body) -> Callable[[Message], Awaitable[None]]:
        """Send what the app says, unless its request was cut off: parsers below would blame it."""

        async def send(message: Message) -> None:
            if body.error is None or self.started:
                await self.send(message)

        return send


class _Body:
    """What comes in; cut off where it grows too large or stops coming."""

    def __init__(
        self, receive: Receive, limit: int, share: Share | None, *, pause_seconds: float
    ) -> None:
        self._receive = receive
        self._limit = limit
        self._share = share
        self._patience = Patience(pause_seconds)
        self._complete = False
        self.error: RagmeshError | None = None

    def refuse_announced(self, headers: Headers) -> None:
        """Raise when the request says that it is too large, before any of it is read."""
        announced = headers.get("content-length", "")
        if announced.isdigit():
            if int(announced) > self._limit:
                raise self._too_large()
            self._hold(int(announced))

    async def receive(self) -> Message:
        """The next piece; BodyTooLargeError once there are too many."""
        message = await (self._receive() if self._complete else self._next())
        if message["type"] == "http.request":
            self._complete = not message.get("more_body", False)
            self._patience.taken += len(message.get("body", b""))
            try:
                if self._patience.taken > self._limit:
                    raise self._too_large()
                self._hold(self._patience.taken)
            except RagmeshError as error:
                self.error = error
                raise
        return message

    def _hold(self, size: int) -> None:
        if self._share is not None:
            self._share.grow_to(size)

    async def _next(self) -> Message:
        """The next piece; a client that sends none for too long has gone, as far as it matters."""
        try:
            return await self._patience.wait(self._receive())
        except BodyTooSlowError as error:
            self.error = error
        return {"type": "http.disconnect"}

    def _too_large(self) -> BodyTooLargeError:
        message = f"must have at most {self._limit} bytes"
        return BodyTooLargeError(
            f"the body {message}",
            violations=[Violation("body", message)],
            metadata={"limit": str(self._limit)},
        )
