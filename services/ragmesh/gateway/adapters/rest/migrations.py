"""Migrations and golden questions over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from ragmesh.chassis.callers import current_principal
from ragmesh.core.errors import (
    CollectionKeptError,
    ControlCharactersError,
    DeniedError,
    EncoderNotFoundError,
    GoldenQuestionsMissingError,
    InvalidGoldenQuestionsError,
    MigrationChangedError,
    MigrationCommandRefusedError,
)
from ragmesh.core.migrations import IndexChange, MigrationCommand
from ragmesh.core.names import collection_name
from ragmesh.gateway.adapters.rest.bodies import Body, ReleaseBody
from ragmesh.gateway.adapters.rest.collection_bodies import ChunkingBody
from ragmesh.gateway.adapters.rest.context import (
    CollectionName,
    Context,
    PageSize,
    PageToken,
    page_request,
)
from ragmesh.gateway.adapters.rest.migration_replies import (
    EstimateReply,
    EvaluationReply,
    EvaluationsReply,
    GoldenReply,
    MigrationReply,
    MigrationsReply,
)
from ragmesh.gateway.adapters.rest.refusals import BODY, CHANGE, COLLECTION, PAGE, problems
from ragmesh.gateway.adapters.rest.shapes import LANGUAGE, one_of
from ragmesh.gateway.parsing import parse_choice

_Add = Callable[..., None]
_FOUND = (*COLLECTION, DeniedError)
_CHANGED = (*COLLECTION, *BODY, *CHANGE, DeniedError)
_COMMANDS = tuple(command.value for command in MigrationCommand)
Command = Annotated[
    str,
    Path(
        description="What the migration is to do.",
        examples=["approve"],
        json_schema_extra=one_of(MigrationCommand),
    ),
]


class CommandBody(Body):
    """Why a migration is told something."""

    reason: str = Field(
        "", max_length=1_000, description="Goes into the audit.", examples=["looks good"]
    )


class EstimateBody(Body):
    """What an index might be; what is missing stays."""

    encoder: str = Field("", description="Name of an encoder.", examples=["all-MiniLM-L6-v2-int8"])
    chunking: ChunkingBody | None = Field(None, description="How documents would be split.")
    language: str = Field("", description="Language of the index.", json_schema_extra=LANGUAGE)


class GoldenBody(Body):
    """Golden questions to keep."""

    content: str = Field(
        description="JSON lines, as `ragmesh evaluate` takes them.",
        examples=['{"question": "How many days of leave?", "relevant": {"leave.md": 1}}'],
    )


class MigrationRoutes:
    """Translates calls about the index of a collection."""

    def __init__(self, context: Context) -> None:
        self._catalog = context.service.catalog

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["Administration"])
        one = "/collections/{collection}"
        get, put, post = (
            partial(router.add_api_route, methods=[method]) for method in ("GET", "PUT", "POST")
        )
        get(
            "/migrations",
            self.list,
            response_model=MigrationsReply,
            responses=problems(*PAGE, DeniedError),
            summary="List migrations",
        )
        self._add_changing(get, post, one)
        post(
            f"{one}:release",
            self.release,
            status_code=204,
            response_class=Response,
            responses=problems(*_CHANGED, ControlCharactersError, MigrationChangedError),
            summary="Have no custom resource keep a collection",
        )
        self._add_judging(get, put, one)
        return router

    def _add_changing(self, get: _Add, post: _Add, one: str) -> None:
        get(
            f"{one}/migration",
            self.get,
            response_model=MigrationReply,
            responses=problems(*_FOUND),
            summary="Show where a migration stands",
        )
        post(
            f"{one}/migration:estimate",
            self.estimate,
            response_model=EstimateReply,
            responses=problems(*_FOUND, *BODY, EncoderNotFoundError),
            summary="Say what another index would build",
        )
        post(
            f"{one}/migration:{{command}}",
            self.command,
            response_model=MigrationReply,
            responses=problems(
                *_CHANGED,
                ControlCharactersError,
                MigrationCommandRefusedError,
                MigrationChangedError,
            ),
            summary="Tell a migration what to do",
        )

    def _add_judging(self, get: _Add, put: _Add, one: str) -> None:
        put(
            f"{one}/golden-questions",
            self.keep_golden,
            response_model=GoldenReply,
            responses=problems(*_CHANGED, InvalidGoldenQuestionsError, CollectionKeptError),
            summary="Keep golden questions",
        )
        get(
            f"{one}/golden-questions",
            self.get_golden,
            response_model=GoldenReply,
            responses=problems(*_FOUND, GoldenQuestionsMissingError),
            summary="Show golden questions",
        )
        get(
            f"{one}/evaluations",
            self.list_evaluations,
            response_model=EvaluationsReply,
            responses=problems(*_FOUND, *PAGE),
            summary="List what asking golden questions found",
        )

    async def list(self, page_size: PageSize = 0, page_token: PageToken = "") -> Any:
        """Of collections whose index somebody wanted otherwise."""
        page = await self._catalog.list_migrations(
            current_principal(), page_request(page_size, page_token)
        )
        return MigrationsReply(
            migrations=[MigrationReply.of(one) for one in page.items],
            next_page_token=page.next_token,
        )

    async def get(self, collection: CollectionName) -> Any:
        """At rest, too: which version serves, and what was refused last."""
        name = collection_name(collection)
        return MigrationReply.of(await self._catalog.get_migration(current_principal(), name))

    async def release(self, collection: CollectionName, body: ReleaseBody) -> Response:
        """Anybody who may can change it again; a resource that is still there takes it back."""
        await self._catalog.release_collection(
            current_principal(), collection_name(collection), reason=body.reason
        )
        return Response(status_code=204)

    async def estimate(self, collection: CollectionName, body: EstimateBody) -> Any:
        """Nothing is changed."""
        change = IndexChange(
            encoder=body.encoder or None,
            chunking=None if body.chunking is None else body.chunking.chunking(),
            language=body.language or None,
        )
        return EstimateReply.of(
            await self._catalog.estimate_index(
                current_principal(), collection_name(collection), change
            )
        )

    async def command(self, collection: CollectionName, command: Command, body: CommandBody) -> Any:
        """Refused with a sentence where the phase does not allow it."""
        told = MigrationCommand(parse_choice(command, _COMMANDS, field="command"))
        return MigrationReply.of(
            await self._catalog.command_migration(
                current_principal(), collection_name(collection), told, reason=body.reason
            )
        )

    async def keep_golden(self, collection: CollectionName, body: GoldenBody) -> Any:
        """Instead of any others; a new index is judged by them."""
        kept = await self._catalog.set_golden_questions(
            current_principal(), collection_name(collection), body.content
        )
        return GoldenReply.of(replace(kept, content=""))

    async def get_golden(self, collection: CollectionName) -> Any:
        """As they were given."""
        name = collection_name(collection)
        return GoldenReply.of(await self._catalog.get_golden_questions(current_principal(), name))

    async def list_evaluations(
        self, collection: CollectionName, page_size: PageSize = 0, page_token: PageToken = ""
    ) -> Any:
        """With the scores of every question."""
        page = await self._catalog.list_evaluations(
            current_principal(), collection_name(collection), page_request(page_size, page_token)
        )
        return EvaluationsReply(
            evaluations=[EvaluationReply.of(one) for one in page.items],
            next_page_token=page.next_token,
        )
