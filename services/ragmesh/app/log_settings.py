"""Settings of the log."""

from __future__ import annotations

from pydantic import Field

from ragmesh.chassis.logs import LogFormat, LogLevel
from ragmesh.chassis.settings import Section


class LogSettings(Section):
    """How a process tells what it does."""

    form: LogFormat | None = Field(
        None, description="json or human; by default human at a terminal and json elsewhere."
    )
    level: LogLevel = Field("info", description="Least severe records that are shown.")
