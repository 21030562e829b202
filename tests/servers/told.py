"""What a real collector was told, read from the file that it writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.processes import await_condition


@dataclass(frozen=True, slots=True)
class ToldSpan:
    """A span as the collector keeps it."""

    name: str
    process: str
    """`service.name` of who sent it."""
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    """Ids of the spans that it is linked to."""


@dataclass(frozen=True, slots=True)
class Told:
    """All that came since the file was so long."""

    path: Path
    since: int

    @classmethod
    def from_now_on(cls, path: Path) -> Told:
        """Nothing yet."""
        return cls(path, path.stat().st_size)

    def spans(self) -> list[ToldSpan]:
        """Every span so far."""
        with self.path.open() as file:
            if self.since:
                file.seek(self.since - 1)
                file.readline()  # what was in the making then
            # The last line may be in the making now.
            lines = [line for line in file if line.endswith("\n")]
        return [span for line in lines for span in _spans_of(json.loads(line))]

    def until(self, holds: Callable[[list[ToldSpan]], bool]) -> list[ToldSpan]:
        """The spans, once it holds of them."""
        assert await_condition(lambda: holds(self.spans())), {span.name for span in self.spans()}
        return self.spans()


def _spans_of(batch: dict[str, Any]) -> Iterator[ToldSpan]:
    for group in batch["resourceSpans"]:
        names = {one["key"]: one["value"] for one in group["resource"]["attributes"]}
        process = names["service.name"]["stringValue"]
        for scoped in group["scopeSpans"]:
            for span in scoped["spans"]:
                yield ToldSpan(
                    span["name"],
                    process,
                    span["traceId"],
                    span["spanId"],
                    span.get("parentSpanId", ""),
                    tuple(link["spanId"] for link in span.get("links", ())),
                )
