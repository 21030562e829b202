"""Retrieval as a service of its own: who calls it must be allowed to."""

from __future__ import annotations

import inspect
from typing import Any

from ragmesh.chassis.identity.methods import may_call
from ragmesh.core.callers import Caller
from ragmesh.core.errors import MethodDeniedError

_SERVICE = "ragmesh.api.retrieval.v1.RetrievalService"


class Guarded:
    """Lets callers do what the table of methods lets them do over a wire."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not inspect.iscoroutinefunction(method):
            return method
        rpc = f"/{_SERVICE}/{name.title().replace('_', '')}"

        async def guarded(caller: Caller, *args: Any, **kwargs: Any) -> Any:
            if not may_call(caller, rpc):
                raise MethodDeniedError(f"{caller} may not call {rpc}")
            return await method(caller, *args, **kwargs)

        return guarded
