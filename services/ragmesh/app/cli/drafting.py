"""Drafts golden questions from what a mesh holds; a model that is named writes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragmesh.app.cli.paging import each
from ragmesh.core.documents import DocumentState
from ragmesh.core.errors import InvalidError
from ragmesh.evaluation.drafting import (
    SYSTEM,
    UNANSWERED_EACH,
    Draft,
    Passage,
    chosen_documents,
    chosen_passages,
    judged,
    with_unanswered,
)
from ragmesh.generation.ports import ChatEndpoint, ChatMessage, ChatText
from ragmesh.generation.settings import GenerationSettings
from ragmesh.sdk.aio.calls import Calls
from ragmesh.sdk.options import CallOptions

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.app.cli.surroundings import Client

_PATIENCE = CallOptions(timeout_seconds=120.0, first_delay_seconds=1.0, longest_delay_seconds=20.0)
"""For one question of a model."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to draft."""

    collection: str
    count: int
    seed: int


def drafted(client: Client, wanted: Wanted, engine: str | None, config: str | None) -> list[Draft]:
    """The drafts, with the questions of a model when an engine is named."""
    from ragmesh.app.cli.reporting import counting
    from ragmesh.app.cli.running import read_settings

    async def run(mesh: Mesh) -> list[Draft]:
        if engine is None:
            return await draft(mesh, wanted, None, tell)
        settings = read_settings(client.surroundings, config, {})
        async with opened_model(settings.generation, engine) as model:
            return await draft(mesh, wanted, model, tell)

    with counting("drafting", wanted.count, silent=client.as_json) as tell:
        return client.call(run)


async def draft(
    mesh: Mesh,
    wanted: Wanted,
    model: ChatEndpoint | None,
    tell: Callable[[int], None],
) -> list[Draft]:
    """The drafts; `tell` is given how many are done."""
    answered = wanted.count - wanted.count // UNANSWERED_EACH
    passages = await _passages(mesh, wanted, answered)
    drafts: list[Draft] = []
    for passage in passages:
        drafts.append(Draft(passage) if model is None else await _asked(model, passage))
        tell(len(drafts))
    return list(with_unanswered(drafts))


async def _passages(mesh: Mesh, wanted: Wanted, count: int) -> list[Passage]:
    documents = [
        document.document_id
        async for document in each(lambda page: mesh.list_documents(wanted.collection, page=page))
        if document.state is DocumentState.INDEXED
    ]
    if not documents:
        raise InvalidError.of("collection", "has no document that can be found; add some first")
    texts = {}
    for document_id in chosen_documents(documents, count, wanted.seed):
        found = await mesh.get_document_text(wanted.collection, document_id)
        texts[document_id] = found.text
    return chosen_passages(texts, count, wanted.seed)


async def _asked(model: ChatEndpoint, passage: Passage) -> Draft:
    messages = (ChatMessage("system", SYSTEM), ChatMessage("user", passage.text))

    async def reply() -> str:
        async with aclosing(model.complete(messages)) as pieces:
            return "".join([piece.text async for piece in pieces if isinstance(piece, ChatText)])

    return judged(passage, await Calls(_PATIENCE).read(reply))


@asynccontextmanager
async def opened_model(settings: GenerationSettings, name: str) -> AsyncIterator[ChatEndpoint]:
    """The model of the endpoint with this name; InvalidError when the settings have none."""
    models = {one.name: one for one in settings.endpoints if one.kind == "openai"}
    if name not in models:
        known = ", ".join(models) or "none"
        raise InvalidError.of(
            "engine", f"names no model of generation.endpoints (known here: {known})"
        )
    # Takes a second; who writes questions without a model does not pay for it.
    from ragmesh.chassis.clocks import SystemClock
    from ragmesh.generation.adapters.openai_chat import OpenAIEndpoint, open_openai_chat

    remote = OpenAIEndpoint.configured(settings, models[name])
    async with open_openai_chat(remote, SystemClock()) as chat:
        yield chat
