"""The HTTP app: routes below, one door in front."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp

from ragmesh.chassis.executors import Executor
from ragmesh.core.errors import RagmeshError
from ragmesh.gateway.adapters.rest.admin import AdminRoutes
from ragmesh.gateway.adapters.rest.asking import AskingRoutes
from ragmesh.gateway.adapters.rest.bodies import DocumentBody, DocumentsBody
from ragmesh.gateway.adapters.rest.collections import CollectionRoutes
from ragmesh.gateway.adapters.rest.context import Context
from ragmesh.gateway.adapters.rest.docs import POLICY, docs_page
from ragmesh.gateway.adapters.rest.document_replies import HealthReply
from ragmesh.gateway.adapters.rest.document_routes import document_router
from ragmesh.gateway.adapters.rest.door import Door
from ragmesh.gateway.adapters.rest.jobs import JobRoutes
from ragmesh.gateway.adapters.rest.problems import (
    Problem,
    on_http_error,
    on_invalid_request,
    on_mesh_error,
)
from ragmesh.gateway.authorization import EVERYBODY, roles_of_route
from ragmesh.gateway.ports import Identity
from ragmesh.gateway.service import GatewayService

PREFIX = "/api/v1"
_ABOUT = (
    "Answers questions over an organisation's own documents, with citations. Errors are "
    "application/problem+json with a stable reason."
)
_CHANGING = frozenset({"post", "patch", "delete"})
_UNKEYED = ("/ask", "/search", ":replay", ":repair")
"""Ends of paths that change nothing, or nothing more when they are asked for again."""
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, as `ragmesh keys create` makes it. Developer mode asks for none.",
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same request with the same key is done once and answered the same for 24 "
    "hours; another request with it is refused with 409.",
}


class RestApp(FastAPI):
    """FastAPI whose description tells the truth about errors, and whose errors the door answers."""

    def build_middleware_stack(self) -> ASGIApp:
        """Without Starlette's last resort, which would answer defects in a shape of its own."""
        stack = super().build_middleware_stack()
        return stack.app if isinstance(stack, ServerErrorMiddleware) else stack

    def openapi(self) -> dict[str, Any]:
        """The description, without the error shape of FastAPI that nobody ever sees."""
        if self.openapi_schema:
            return self.openapi_schema
        description = super().openapi()
        schemas = description["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for model in (Problem, DocumentBody, DocumentsBody):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        # Read one by one, so that a wrong one is refused by itself.
        listed = schemas[DocumentsBody.__name__]["properties"]["documents"]
        listed["items"] = {"$ref": f"#/components/schemas/{DocumentBody.__name__}"}
        description["components"]["securitySchemes"] = {"key": _KEY}
        for path, methods in description["paths"].items():
            for method, operation in methods.items():
                if roles_of_route(method.upper(), path) != EVERYBODY:
                    operation["security"] = [{"key": []}]
                operation["responses"].pop("422", None)
                if method in _CHANGING and not path.endswith(_UNKEYED):
                    operation.setdefault("parameters", []).append(_IDEMPOTENCY)
        return description


def make_app(
    service: GatewayService,
    identity: Identity,
    *,
    pool: Executor,
    version: str,
    ready: Callable[[], bool] = lambda: True,
) -> Door:
    """The whole app; `pool` decodes what would hold up the loop, `ready` answers /readyz."""
    app = RestApp(
        title="ragmesh",
        version=version,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    context = Context(service, pool)
    for router in (
        AdminRoutes(context).router(),
        AskingRoutes(context).router(),
        CollectionRoutes(context).router(),
        document_router(context),
        JobRoutes(context).router(),
    ):
        app.include_router(router, prefix=PREFIX)
    _add_process_routes(app, ready)
    app.add_exception_handler(RagmeshError, on_mesh_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    return Door(app, identity, limits=service.limits, room=service.room)


def _add_process_routes(app: FastAPI, ready: Callable[[], bool]) -> None:
    async def healthz() -> HealthReply:
        """The process is alive."""
        return HealthReply(status="ok")

    async def readyz() -> Response:
        """The process takes requests; 503 while it starts or drains."""
        serving = ready()
        status = "ready" if serving else "not ready"
        return JSONResponse({"status": status}, 200 if serving else 503)

    async def docs() -> Response:
        return HTMLResponse(docs_page(app.openapi()), headers={"Content-Security-Policy": POLICY})

    app.add_api_route("/healthz", healthz, tags=["Process"], summary="Alive?")
    app.add_api_route(
        "/readyz", readyz, tags=["Process"], summary="Ready?", response_model=HealthReply
    )
    app.add_api_route("/docs", docs, include_in_schema=False)


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    """Nobody reads it; the server wants an end."""
    return Response(status_code=499)
