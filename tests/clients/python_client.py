"""The cases of cases.json, told to the official Python client as javascript_client.mjs does."""

from __future__ import annotations

import inspect
import json
import math
import re
from pathlib import Path
from typing import Any

import openai

CASES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("cases.json").read_text(encoding="utf-8")
)
_STEP = re.compile(r"[^.\[\]]+")


async def faults_of(client: openai.AsyncOpenAI, case: dict[str, Any]) -> list[str]:
    """What is not as the case expects."""
    found = await _result(client, case)
    return [
        f"{path} is {at(found, path)!r}, not {check!r}"
        for path, check in case["expect"].items()
        if not _holds(at(found, path), check)
    ]


async def _result(client: openai.AsyncOpenAI, case: dict[str, Any]) -> Any:
    try:
        match case["call"]:
            case "chat.completions.create":
                answer = await _call(client.chat.completions.create, case["with"])
                streamed = case["with"].get("stream", False)
                return await _collected(answer) if streamed else answer.model_dump(warnings=False)
            case "embeddings.create":
                return (await _call(client.embeddings.create, case["with"])).model_dump(
                    warnings=False
                )
            case "models.list":
                return (await client.models.list()).model_dump(warnings=False)
            case "models.retrieve":
                return (await client.models.retrieve(case["model"])).model_dump(warnings=False)
            case other:
                raise AssertionError(other)
    except openai.APIStatusError as error:
        return {
            "error": {
                "status": error.status_code,
                "class": type(error).__name__,
                "code": error.code,
                "type": error.type,
                "param": error.param,
                "message": error.message,
                "request_id": error.request_id,
            }
        }


async def _call(method: Any, parameters: dict[str, Any]) -> Any:
    known = inspect.signature(method).parameters
    extra = {name: value for name, value in parameters.items() if name not in known}
    return await method(
        **{name: value for name, value in parameters.items() if name in known}, extra_body=extra
    )


async def _collected(stream: Any) -> dict[str, Any]:
    chunks = [chunk.model_dump(warnings=False) async for chunk in stream]
    chosen = [chunk for chunk in chunks if chunk["choices"]]
    return {
        "text": "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chosen),
        "chunks": chunks,
        "last": chosen[-1],
        "usages": [chunk for chunk in chunks if chunk.get("usage")],
    }


def at(found: Any, path: str) -> Any:
    """What stands at `a.b[0].c`; None where nothing does."""
    for step in _STEP.findall(path):
        if isinstance(found, list):
            found = found[int(step)] if int(step) < len(found) else None
        else:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def _holds(value: Any, check: dict[str, Any]) -> bool:
    ((kind, wanted),) = check.items()
    match kind:
        case "is":
            return bool(value == wanted)
        case "contains":
            return wanted in (value or "")
        case "starts":
            return str(value).startswith(wanted)
        case "length":
            return isinstance(value, list) and len(value) == wanted
        case "kind" if wanted == "text":
            return isinstance(value, str) and value != ""
        case "kind" if wanted == "unit vector":
            return isinstance(value, list) and abs(math.hypot(*value) - 1) < 1e-3
        case _:
            raise AssertionError(check)
