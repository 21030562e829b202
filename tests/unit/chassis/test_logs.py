from __future__ import annotations

import io
import json
import logging
import queue
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ragmesh.chassis.logs import configure
from ragmesh.chassis.requests import serving
from ragmesh.chassis.telemetry.current import TraceContext, within_trace

log = logging.getLogger("ragmesh.test")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    for handler in before[0]:  # pytest's own, which `configure` would close
        root.removeHandler(handler)
    yield
    logging.captureWarnings(False)
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in before[0]:
        root.addHandler(handler)
    root.setLevel(before[1])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_record_is_one_line_with_its_fields_and_its_request() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    with serving("r-1"):
        log.info("job %s ended\nreally", "j-1", extra={"seconds": 1.5, "who": "Jürgen"})
    log.info("outside")
    inside, outside = records(stream)
    assert inside["time"].endswith("Z")
    assert {key: inside[key] for key in inside if key != "time"} == {
        "level": "INFO", "logger": "ragmesh.test", "message": "job j-1 ended\nreally",
        "request_id": "r-1", "seconds": 1.5, "who": "Jürgen",
    }  # fmt: skip
    assert "request_id" not in outside


def test_a_traceback_stays_inside_its_json_record() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    log.error("failed", exc_info=KeyError("k"))
    (record,) = records(stream)
    assert "KeyError" in record["exc_info"]


class Speechless:
    def __repr__(self) -> str:
        raise RuntimeError("nothing to show")


@dataclass
class Carried:
    """As libraries put into their records; no part of it can be copied."""

    name: str
    waiting: Any


CARRIED: dict[str, Any] = {
    "a queue": Carried("q", queue.SimpleQueue()),
    "a circle": Carried("c", None),
    "keys that are no text": {("a", 1): 2},
    "nothing to show": Speechless(),
}
CARRIED["a circle"].waiting = CARRIED["a circle"]


@pytest.mark.parametrize("form", ["json", "human"])
@pytest.mark.parametrize("carried", CARRIED)
def test_a_record_is_told_whatever_a_library_hangs_on_it(
    form: Any, carried: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    configure(form, "info", stream=stream)
    log.warning("told", extra={"carried": CARRIED[carried], "job": "j-1"})
    (line,) = stream.getvalue().splitlines()
    assert "told" in line
    assert "j-1" in line
    assert capsys.readouterr().err == ""  # where logging prints what broke a handler


def test_what_can_be_looked_into_is_an_object() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    log.warning("told", extra={"carried": Carried("q", Carried("inner", 1))})
    (record,) = records(stream)
    assert record["carried"] == {"name": "q", "waiting": {"name": "inner", "waiting": 1}}


def test_libraries_and_warnings_go_the_same_way() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    logging.getLogger("some.library").warning("careful")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert [record["logger"] for record in records(stream)] == ["some.library", "py.warnings"]


def test_records_below_the_level_are_dropped_and_talkative_libraries_hushed() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    log.debug("detail")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("alembic.runtime.plugins").info("setup plugin")
    logging.getLogger("httpx2").info("HTTP Request: POST")
    logging.getLogger("kopf.objects").info("Handler 'tell' succeeded.")
    assert stream.getvalue() == ""
    configure("json", "debug", stream=stream)
    log.debug("detail")
    assert [record["message"] for record in records(stream)] == ["detail"]


def test_configuring_again_does_not_say_everything_twice() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    configure("json", "info", stream=stream)
    log.info("once")
    assert len(records(stream)) == 1


def test_a_person_reads_one_line_with_fields() -> None:
    stream = io.StringIO()
    configure("human", "info", stream=stream)
    with serving("r-1"):
        log.warning("job ended", extra={"job": "j-1"})
    (line,) = stream.getvalue().splitlines()
    assert line.split()[1:] == ["WARNING", "job", "ended", "job=j-1", "request_id=r-1"]


def test_what_a_client_sent_can_neither_forge_a_line_nor_steer_the_terminal() -> None:
    stream = Terminal()
    configure("human", "info", stream=stream)
    log.info("refused %s", "a\nb\x1b[2J", extra={"host": "evil\r\n\x9b"})
    assert stream.getvalue().count("\n") == 1
    assert not {"\x1b", "\r", "\x9b"} & set(stream.getvalue())


def test_colours_are_for_terminals_only() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        configure("human", "info", stream=stream)
        log.error("failed", exc_info=KeyError("k"))
    assert "\x1b[31m" in terminal.getvalue()
    assert "\x1b" not in pipe.getvalue()
    assert "KeyError" in pipe.getvalue()


def test_a_record_in_a_trace_carries_its_ids_and_no_other_does() -> None:
    # OT-7
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    with within_trace(TraceContext(0xABC, 0xDEF, sampled=False)):
        log.info("inside")
    log.info("outside")
    inside, outside = records(stream)
    assert inside["trace_id"] == f"{0xABC:032x}"
    assert inside["span_id"] == f"{0xDEF:016x}"
    assert not {"trace_id", "span_id"} & set(outside)
