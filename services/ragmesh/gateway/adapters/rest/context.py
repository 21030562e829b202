"""What every route works with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Query

from ragmesh.chassis.executors import Executor
from ragmesh.core.errors import InvalidError, NotUtf8Error, Violation
from ragmesh.core.pages import PageRequest
from ragmesh.gateway.adapters.rest.problems import PROBLEM_TYPE
from ragmesh.gateway.service import GatewayService

CollectionName = Annotated[str, Path(description="Name of the collection.", examples=["handbook"])]
DocumentId = Annotated[str, Path(description="Id of the document.", examples=["leave.md"])]
JobId = Annotated[str, Path(description="Id of the job.")]
PageSize = Annotated[
    int, Query(description="Most items to answer, at most 1000; 0 for the default of 100.")
]
PageToken = Annotated[
    str, Query(description="`next_page_token` of the page before; empty for the first page.")
]
_MEANINGS = {
    400: "The request is malformed, or the state forbids it.",
    401: "There is no key, or it is no good.",
    403: "The key may not do this; or, in developer mode, a page of elsewhere could have asked.",
    404: "What was named is not there, or not for this caller.",
    409: "The name is taken, or somebody else was faster.",
    413: "The body or a file is too large.",
    415: "The body is of a media type that is not taken.",
    429: "Too much at once; `Retry-After` says when to try again.",
    500: "A defect; the log describes it under the id in the detail.",
    503: "A part of the mesh is away; `Retry-After` says when to try again.",
    504: "Time ran out.",
}
_ALWAYS = (400, 401, 403, 429, 500, 503, 504)


@dataclass(frozen=True, slots=True)
class Context:
    """The gateway behind the routes, and a thread for what would hold up the loop."""

    service: GatewayService
    pool: Executor


def page_request(size: int, token: str) -> PageRequest:
    """The page that the query parameters ask for."""
    return PageRequest(size, token)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route for its description; those of every route are in it."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": _MEANINGS[status], "content": {PROBLEM_TYPE: schema}}
        for status in sorted({*_ALWAYS, *statuses})
    }


def parse_json(text: str | bytes, *, field: str) -> Any:
    """The JSON value, else InvalidError about the field; bytes are UTF-8 or refused."""
    try:
        return json.loads(text if isinstance(text, str) else text.decode())
    except UnicodeDecodeError:
        message = "must be UTF-8"
        raise NotUtf8Error(f"{field} {message}", violations=[Violation(field, message)]) from None
    except (ValueError, RecursionError):
        raise InvalidError.of(field, "must be JSON") from None
