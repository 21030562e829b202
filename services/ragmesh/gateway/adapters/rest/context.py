"""What every route works with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Query

from ragmesh.chassis.executors import Executor
from ragmesh.core.errors import InvalidError, NotUtf8Error, Violation
from ragmesh.core.pages import PageRequest
from ragmesh.gateway.adapters.rest.examples import JOB_ID
from ragmesh.gateway.adapters.rest.shapes import (
    COLLECTION_NAME,
    DOCUMENT_ID,
    PAGE_SIZE,
)
from ragmesh.gateway.service import GatewayService

CollectionName = Annotated[
    str,
    Path(
        description="Name of the collection.",
        examples=["handbook"],
        json_schema_extra=COLLECTION_NAME,
    ),
]
DocumentId = Annotated[
    str,
    Path(
        description="Id of the document.",
        examples=["leave.md"],
        json_schema_extra=DOCUMENT_ID,
    ),
]
JobId = Annotated[str, Path(description="Id of the job.", examples=[JOB_ID])]
PageSize = Annotated[
    int,
    Query(
        description="Most items to answer, at most 1000; 0 for the default of 100.",
        json_schema_extra=PAGE_SIZE,
    ),
]
PageToken = Annotated[
    str, Query(description="`next_page_token` of the page before; empty for the first page.")
]


@dataclass(frozen=True, slots=True)
class Context:
    """The gateway behind the routes, and a thread for what would hold up the loop."""

    service: GatewayService
    pool: Executor


def page_request(size: int, token: str) -> PageRequest:
    """The page that the query parameters ask for."""
    return PageRequest(size, token)


def parse_json(text: str | bytes, *, field: str) -> Any:
    """The JSON value, else InvalidError about the field; bytes are UTF-8 or refused."""
    try:
        return json.loads(text if isinstance(text, str) else text.decode())
    except UnicodeDecodeError:
        message = "must be UTF-8"
        raise NotUtf8Error(f"{field} {message}", violations=[Violation(field, message)]) from None
    except (ValueError, RecursionError):
        raise InvalidError.of(field, "must be JSON") from None
