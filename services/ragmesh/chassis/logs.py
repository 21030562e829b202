"""Every record of the process, a library's too, leaves through one pipeline on stderr."""

from __future__ import annotations

import dataclasses
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.defaults import unknown_default
from pythonjsonlogger.json import JsonEncoder, JsonFormatter

from ragmesh.chassis.requests import current_request_id
from ragmesh.chassis.telemetry.current import current_trace

LogFormat = Literal["json", "human"]
LogLevel = Literal["debug", "info", "warning", "error"]

# Libraries that tell at INFO what concerns only their own authors.
_TALKATIVE = (
    "asyncio",
    "uvicorn.error",
    "httpx",
    "httpcore",
    "alembic",
    "httpx2",
    "openai",
    "kopf",
)
# Tells every attempt to reach a broker that is away, many a second; whoever calls it tells once.
_TOLD_BY_CALLERS = ("aiokafka",)
# `color_message` is uvicorn's copy of its message for terminals; `taskName` says nothing here.
_NOT_SHOWN = frozenset(
    {
        *RESERVED_ATTRS,
        "request_id",
        "trace_id",
        "span_id",
        "color_message",
        "taskName",
        "message",
    }
)
_ABSENT_IF_EMPTY = ("request_id", "trace_id", "span_id")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}
_RESET = "\x1b[0m"


def configure(form: LogFormat, level: LogLevel, *, stream: TextIO | None = None) -> None:
    """Send all logging to the stream (stderr by default) in one form, once for the process."""
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_json_lines() if form == "json" else HumanFormatter(stream.isatty()))
    handler.addFilter(_add_origin)
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
        former.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    for name in _TOLD_BY_CALLERS:
        logging.getLogger(name).setLevel(max(root.level, logging.CRITICAL))
    logging.captureWarnings(True)


class HumanFormatter(logging.Formatter):
    """One line a record for a person at a terminal, with the extra fields as `key=value`."""

    def __init__(self, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows on lines of its own."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        fields = [
            f"{name}={_escaped(unknown_default(value))}"
            for name, value in record.__dict__.items()
            if name not in _NOT_SHOWN
        ]
        if request_id := getattr(record, "request_id", ""):
            fields.append(f"request_id={request_id}")
        line = " ".join(
            [
                moment.strftime("%H:%M:%S"),
                f"{record.levelname:<7}",
                _escaped(record.getMessage()),
                *fields,
            ]
        )
        if self._coloured and record.levelname in _COLOURS:
            line = f"{_COLOURS[record.levelname]}{line}{_RESET}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _json_lines() -> logging.Formatter:
    return _JsonLines(
        "{levelname}{name}{message}{request_id}{trace_id}{span_id}",
        style="{",
        rename_fields={"levelname": "level", "name": "logger"},
        reserved_attrs=[*RESERVED_ATTRS, "color_message"],
        json_ensure_ascii=False,
        json_encoder=_Encoder,
    )


class _Encoder(JsonEncoder):
    def default(self, o: Any) -> Any:
        """Look into a dataclass without copying it: what a library puts there may have no copy."""
        if dataclasses.is_dataclass(o) and not isinstance(o, type):
            return {field.name: getattr(o, field.name) for field in dataclasses.fields(o)}
        return super().default(o)


class _JsonLines(JsonFormatter):
    def process_log_record(self, log_data: dict[str, object]) -> dict[str, object]:
        """Leave out the ids where no request is served or no trace is known."""
        for name in _ABSENT_IF_EMPTY:
            if not log_data.get(name):
                log_data.pop(name, None)
        return log_data

    def add_fields(
        self,
        log_data: dict[str, object],
        record: logging.LogRecord,
        message_dict: dict[str, object],
    ) -> None:
        """Put the moment first, in UTC and to the millisecond."""
        moment = datetime.fromtimestamp(record.created, UTC)
        log_data["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        super().add_fields(log_data, record, message_dict)

    def jsonify_log_record(self, log_data: dict[str, object]) -> str:
        """One line, whatever a library's record carries: what has no JSON is shown by its text."""
        try:
            return super().jsonify_log_record(log_data)
        except (TypeError, ValueError, RecursionError):  # keys that are no text, things in circles
            texts = {name: unknown_default(value) for name, value in log_data.items()}
            return super().jsonify_log_record(texts)


def _add_origin(record: logging.LogRecord) -> bool:
    """Say what the record is about: people follow the request, machines the trace."""
    record.request_id = current_request_id()
    trace = current_trace()
    record.trace_id, record.span_id = (trace.trace_hex, trace.span_hex) if trace else ("", "")
    return True


def _escaped(text: str) -> str:
    """The text on one line: what a client sends must not forge a record or steer a terminal."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
