"""The HTTP app: routes below, one door in front."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse

from ragmesh.chassis.executors import Executor
from ragmesh.core.errors import RagmeshError
from ragmesh.gateway.adapters.rest.admin import AdminRoutes
from ragmesh.gateway.adapters.rest.asking import AskingRoutes
from ragmesh.gateway.adapters.rest.collections import CollectionRoutes
from ragmesh.gateway.adapters.rest.context import Context
from ragmesh.gateway.adapters.rest.description import ABOUT, TAGS, RestApp, operation_name
from ragmesh.gateway.adapters.rest.docs import POLICY, docs_page
from ragmesh.gateway.adapters.rest.document_replies import HealthReply
from ragmesh.gateway.adapters.rest.document_routes import document_router
from ragmesh.gateway.adapters.rest.door import Door
from ragmesh.gateway.adapters.rest.jobs import JobRoutes
from ragmesh.gateway.adapters.rest.keys import KeyRoutes
from ragmesh.gateway.adapters.rest.lean import LeanAnswers
from ragmesh.gateway.adapters.rest.migrations import MigrationRoutes
from ragmesh.gateway.adapters.rest.openai.errors import PREFIX as OPENAI_PREFIX
from ragmesh.gateway.adapters.rest.openai.routes import openai_router
from ragmesh.gateway.adapters.rest.origins import NO_ORIGINS, Origins
from ragmesh.gateway.adapters.rest.problems import (
    on_http_error,
    on_invalid_request,
    on_mesh_error,
)
from ragmesh.gateway.adapters.rest.records import RecordRoutes
from ragmesh.gateway.adapters.rest.refusals import problems
from ragmesh.gateway.ports import Identity
from ragmesh.gateway.service import GatewayService

PREFIX = "/api/v1"
_HEALTH = {"$ref": "#/components/schemas/HealthReply"}


def make_app(
    service: GatewayService,
    identity: Identity,
    *,
    pool: Executor,
    version: str,
    ready: Callable[[], bool] = lambda: True,
    origins: Origins = NO_ORIGINS,
) -> Door:
    """The whole app; `pool` decodes what would hold up the loop, `ready` answers /readyz."""
    app = routed_app(Context(service, pool), version=version, ready=ready)
    return Door(LeanAnswers(app, pool), service, identity, origins)


def routed_app(context: Context, *, version: str, ready: Callable[[], bool]) -> RestApp:
    """The routes with their description, behind no door."""
    app = RestApp(
        title="ragmesh",
        version=version,
        description=ABOUT,
        openapi_tags=TAGS,
        generate_unique_id_function=operation_name,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in (
        AskingRoutes(context).router(),  # first, as the router looks at one after the other
        AdminRoutes(context).router(),
        MigrationRoutes(context).router(),
        CollectionRoutes(context).router(),
        document_router(context),
        JobRoutes(context).router(),
        KeyRoutes(context).router(),
        RecordRoutes(context).router(),
    ):
        app.include_router(router, prefix=PREFIX)
    app.include_router(openai_router(context), prefix=OPENAI_PREFIX)
    _add_process_routes(app, ready)
    app.add_exception_handler(RagmeshError, on_mesh_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    return app


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

    add = partial(app.add_api_route, tags=["Process"], response_model=HealthReply)
    add("/healthz", healthz, responses=problems(), summary="Tell whether it is alive")
    unready = {"content": {"application/json": {"schema": _HEALTH}, **problems()[503]["content"]}}
    responses = problems() | {503: {"description": "It starts or drains.", **unready}}
    add("/readyz", readyz, responses=responses, summary="Tell whether it is ready")
    app.add_api_route("/docs", docs, include_in_schema=False)


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    """Nobody reads it; the server wants an end."""
    return Response(status_code=499)
