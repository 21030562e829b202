"""Several questions to the store at once, of which the first failure is the failure of all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def together(questions: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """The answers in the order of the questions; when one fails the others are given up."""
    with first_failure():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(question) for question in questions]
    return [task.result() for task in tasks]


@contextmanager
def first_failure() -> Iterator[None]:
    """Of the failures of a group of tasks, raise the first as it was."""
    try:
        yield
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
