"""Requests that schemathesis makes from the description, and the same with something broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

Send = Callable[[requests.PreparedRequest], None]
"""Sends a request and judges the answer."""
BASE = "http://localhost:8080"
KNOWN = {"collection": "handbook", "document_id": "leave.md"}
"""What the mesh holds, so that some requests get past its names."""
JUNK: tuple[Any, ...] = (
    None, True, -1, 2**63, 2**2_000, 1e308, "", " ", "\0", "\ud800", "x" * 9_000, [], [[]], {},
)  # fmt: skip
TYPES = ("text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/mixed")
BYTES = (b"", b"{", b"null", b"[" * 5_000, b"\xff\xfe", b"--x\r\n", b'{"a": NaN}', b'{"a":1,"a":2}')


def explore(description: dict[str, Any], send: Send, *, examples: int, number: int) -> int:
    """Send so many requests to every operation, and broken ones; how many they were in all."""
    sent = 0

    for strategy in _strategies(description):

        @seed(number)
        @settings(
            max_examples=examples,
            phases=(Phase.generate, Phase.shrink),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy, st.integers(0, 2**32))
        def one(case: schemathesis.Case[Any], chance: int) -> None:
            nonlocal sent
            for asked in _requests(case, Random(chance)):
                sent += 1
                send(asked.prepare())

        one()
    return sent


def _strategies(description: dict[str, Any]) -> Iterator[Any]:
    for found in schemathesis.openapi.from_dict(description).get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        named = {one.name for one in operation.path_parameters}
        known = {name: KNOWN[name] for name in named & KNOWN.keys()}
        whole = known if named == known.keys() else {}
        yield operation.as_strategy(path_parameters=whole) if whole else operation.as_strategy()


def _requests(case: schemathesis.Case[Any], chance: Random) -> Iterator[requests.Request]:
    # An hour-long wait for jobs is what it asks for, and what it would get.
    case.query.pop("wait", None)
    asked = requests.Request(**case.as_transport_kwargs(base_url=BASE))
    yield asked
    if isinstance(asked.json, dict):
        yield _copied(asked, json=_damaged(asked.json, chance))
    if case.method in ("POST", "PATCH"):
        headers = {**asked.headers, "content-type": chance.choice(TYPES)}
        yield _copied(asked, json=None, files=None, data=chance.choice(BYTES), headers=headers)
    if case.query:
        name = chance.choice(sorted(case.query))
        yield _copied(asked, params={**case.query, name: ascii(chance.choice(JUNK))[:999]})


def _copied(asked: requests.Request, **changed: Any) -> requests.Request:
    whole = {
        "method": asked.method, "url": asked.url, "headers": asked.headers, "json": asked.json,
        "files": asked.files, "data": asked.data, "params": asked.params,
    }  # fmt: skip
    return requests.Request(**{**whole, **changed})


def _damaged(body: dict[str, Any], chance: Random) -> dict[str, Any]:
    damaged = {**body, "unknown": 1} if chance.random() < 0.2 or not body else dict(body)
    damaged[chance.choice(sorted(damaged))] = chance.choice(JUNK)
    return damaged
