"""The routes below /v1."""

from __future__ import annotations

from fastapi import APIRouter

from ragmesh.gateway.adapters.rest.context import Context
from ragmesh.gateway.adapters.rest.openai.chat import ChatRoutes
from ragmesh.gateway.adapters.rest.openai.embeddings import EmbeddingRoutes
from ragmesh.gateway.adapters.rest.openai.models import ModelRoutes


def openai_router(context: Context) -> APIRouter:
    """Everything that OpenAI's clients find here."""
    router = APIRouter(tags=["OpenAI-compatible"])
    for routes in (ChatRoutes(context), EmbeddingRoutes(context), ModelRoutes(context)):
        routes.add_to(router)
    return router
