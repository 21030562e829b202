"""Holds answers against the OpenAPI description of the app that gave them."""

from __future__ import annotations

import re
from typing import Any

import httpx
import jsonschema_rs

from ragmesh.chassis.executors import Executor
from ragmesh.gateway.adapters.rest.app import routed_app
from ragmesh.gateway.adapters.rest.context import Context
from ragmesh.testing.gateway import FakeMesh

ANYWHERE = {404, 405}
"""Statuses of paths and methods that the description does not know."""
LEFT = 499
PARAMETER = re.compile(r"\\{\w+\\}")


def description() -> dict[str, Any]:
    """What the app says about itself."""
    pool = Executor("rest", 1, waiting=1, niceness=0)
    context = Context(FakeMesh().service(), pool)
    return routed_app(context, version="1.2.3", ready=lambda: True).openapi()


class Described:
    """A description, and whether an answer is in it."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self._paths = {
            re.compile(PARAMETER.sub("[^/]+", re.escape(path))): operations
            for path, operations in description["paths"].items()
        }
        self._validators: dict[str, Any] = {}

    async def check(self, answer: httpx.Response) -> None:
        """Raise AssertionError unless the answer is one that the description promises."""
        where = f"{answer.request.method} {answer.url.path} {answer.status_code}"
        assert answer.headers.get("x-request-id"), where
        operation = self._operation(answer.request)
        if operation is None or answer.status_code == LEFT:
            return
        promised = operation["responses"].get(str(answer.status_code))
        assert promised is not None or answer.status_code in ANYWHERE, where
        kind = answer.headers.get("content-type", "").partition(";")[0]
        contents = (promised or {}).get("content", {})
        assert not contents or kind in contents or "*/*" in contents, (where, kind)
        if kind.endswith("json") and promised is not None:
            await answer.aread()
            self.validate(answer.json(), contents[kind]["schema"])

    def validate(self, value: Any, schema: dict[str, Any]) -> None:
        """Raise jsonschema_rs.ValidationError unless the value is of the schema."""
        name = str(schema)
        compiled = self._validators.get(name)
        if compiled is None:
            whole = {**schema, "components": self.description["components"]}
            compiled = self._validators[name] = jsonschema_rs.Draft202012Validator(whole)
        compiled.validate(value)

    def _operation(self, request: httpx.Request) -> dict[str, Any] | None:
        for path, operations in self._paths.items():
            if path.fullmatch(request.url.path):
                found: dict[str, Any] | None = operations.get(request.method.lower())
                return found
        return None
