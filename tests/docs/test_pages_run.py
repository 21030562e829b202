"""What the pages show at a prompt happens: every command is run and its output compared."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from ragmesh.app.settings import Settings
from ragmesh.chassis.settings import load
from ragmesh.core.errors import UnknownSettingError
from ragmesh.sdk import Mesh
from tests.docs import plain_curl
from tests.docs.conftest import RUN_PAGES, Runner
from tests.docs.console import PATIENCE_SECONDS, Step, difference, is_known, steps_of
from tests.docs.mesh import COMMAND, HTTP, DocsMesh
from tests.docs.pages import ROOT, Block, all_pages, page

PLAIN_LANGUAGES = frozenset({"json", "mermaid", "python", "sql", "text", "yaml", ""})
"""Blocks that nobody types; `yaml` is loaded as settings or as values of the chart, `python` is
compiled."""
_OF_THE_CLIENT = re.compile(r"\b(?:mesh|quick|once)\.(\w+)\(")
_SECRET_FILE = re.compile(r"(password_file|\w+_id_file|\w*key_file): \S+")
_MAY_PREPARE = re.compile(r"make (setup|quickstart)")
pytestmark = pytest.mark.timeout(PATIENCE_SECONDS + 60)  # a page is dozens of processes
_RUN = (" ".join(COMMAND), "make up")


@pytest.mark.parametrize("name", RUN_PAGES)
def test_every_command_of_a_page_does_what_the_page_shows(name: str, runner: Runner) -> None:
    faults = []
    for step, ran in runner.run_page(name):
        missing = difference(step.output, ran.output)
        if ran.code != step.expected_code or missing:
            faults.append(
                f"{name}:{step.block.line}: $ {step.command}\n"
                f"exit {ran.code}, {step.expected_code} expected; {missing}\n{ran.output}"
            )
    assert not faults, "\n".join(faults)


def test_every_tutorial_and_how_to_is_among_the_pages_that_run() -> None:
    folders = [ROOT / "docs" / "tutorials", ROOT / "docs" / "how-to"]
    written = {path.relative_to(ROOT).as_posix() for root in folders for path in root.glob("*.md")}
    assert written == set(RUN_PAGES)


@pytest.mark.parametrize("name", RUN_PAGES)
def test_every_block_of_a_page_is_run_or_nothing_to_type(name: str) -> None:
    for block in page(name).blocks:
        if block.language in {"console", "bash"}:
            assert is_known(block.mark), f"{name}:{block.line}: {block.mark!r}"
            assert steps_of(block)
        else:
            assert block.language in PLAIN_LANGUAGES, f"{name}:{block.line}: {block.language!r}"


@pytest.mark.parametrize("name", RUN_PAGES)
def test_python_on_a_page_compiles_and_asks_the_client_for_what_it_has(name: str) -> None:
    for block in page(name).blocks:
        if block.language == "python":
            compile(block.text, f"{name}:{block.line}", "exec")
            assert set(_OF_THE_CLIENT.findall(block.text)) <= set(dir(Mesh))


def test_the_mesh_of_the_pages_is_the_one_that_the_tests_start(mesh: DocsMesh) -> None:
    shown = [
        step
        for each in all_pages()
        for block in each.blocks
        if (block.language, block.mark) == ("console", "mesh")
        for step in steps_of(block)
    ]
    assert shown
    for step in shown:
        assert step.command.startswith(_RUN), f"{step.block.page}:{step.block.line}"
        said = [line for line in step.output if line.startswith("ragmesh is ready")]
        assert said in ([], [mesh.ready_line]), f"{step.block.page}:{step.block.line}"


def test_make_up_runs_the_mesh_of_the_pages() -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "up"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert planned.stdout.splitlines()[-1] == ".venv/bin/" + " ".join(COMMAND)


def test_what_must_be_prepared_is_no_more_than_the_setup() -> None:
    for each in all_pages():
        for block in each.blocks:
            if block.mark == "prepared":
                for step in steps_of(block):
                    assert _MAY_PREPARE.fullmatch(step.command), f"{each.name}:{block.line}"


def _yaml_blocks() -> list[Block]:
    return [block for each in all_pages() for block in each.blocks if block.language == "yaml"]


def _is_settings(block: Block, folder: Path) -> bool:
    path, secret = folder / "mesh.yaml", folder / "secret"
    secret.write_text("planted", encoding="utf-8")
    path.write_text(_SECRET_FILE.sub(rf"\1: {secret}", block.text), encoding="utf-8")
    try:
        load(Settings, config_file=path, environ={}, overrides={})
    except UnknownSettingError:
        return False
    return True


def test_every_file_on_the_pages_holds_settings_or_values_of_the_chart(tmp_path: Path) -> None:
    schema = json.loads((ROOT / "charts/ragmesh/values.schema.json").read_text(encoding="utf-8"))
    values = [block for block in _yaml_blocks() if not _is_settings(block, tmp_path)]
    assert 0 < len(values) < len(_yaml_blocks())
    for block in values:
        jsonschema_rs.validate(schema, yaml.safe_load(block.text))


def test_readme_shows_what_quickstart_really_says(runner: Runner) -> None:
    runner.run_page(RUN_PAGES[0])
    shown = [step for step in _quickstart_steps() if step.command.startswith("ragmesh ")]
    unheard = [step for step in shown if step.command not in runner.said]
    said = runner.said | {
        step.command: ran for step, ran in zip(unheard, runner.run(unheard), strict=True)
    }
    for step in shown:
        output = [line for line in step.output if not line.startswith("What it took")]
        if step is shown[-1]:
            output = output[: step.output.index("What it took, in seconds, the start of each "
                                                "command included:")]  # fmt: skip
        fault = difference(output, said[step.command].output)
        assert not fault, f"$ {step.command}\n{fault}"


def test_readme_shows_every_command_of_quickstart_and_how_long_each_took() -> None:
    asked = json.loads((ROOT / "examples" / "questions.json").read_text(encoding="utf-8"))
    questions = [each["question"] for each in (*asked["answerable"], *asked["unanswerable"])]
    first, *steps = _quickstart_steps()
    assert first.command == "make quickstart"
    assert [step.command for step in steps] == [
        "ragmesh collections create handbook",
        "ragmesh documents add examples/handbook -c handbook",
        *(f'ragmesh ask "{question}" -c handbook' for question in questions),
    ]
    timed = [re.sub(r"^ *\d+\.\d\d  ", "", line) for line in steps[-1].output[-9:]]
    assert timed == ["start the mesh", "add the handbook", *questions, "all of it"]


def _quickstart_steps() -> list[Step]:
    (block,) = [block for block in page("README.md").blocks if block.mark == "quickstart"]
    return steps_of(block)


def test_the_stand_in_for_curl_speaks_to_a_mesh(
    mesh: DocsMesh, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"http://{mesh.addresses[HTTP]}"
    collections, documents = f"{root}/api/v1/collections", f"{root}/api/v1/collections/curl"
    json_type = ["-H", "content-type: application/json"]
    note = tmp_path / "note.txt"
    note.write_text("The stand-in was here.")

    def said(*arguments: str) -> str:
        assert plain_curl.main(arguments) == 0
        return capsys.readouterr().out

    assert json.loads(said("-s", f"{root}/readyz")) == {"status": "ready"}
    assert json.loads(said("-s", collections, *json_type, "-d", '{"name": "curl"}'))["name"]
    form = ["-F", f"file=@{note}", "-F", 'metadata={"kind": "note"}', "-F", "document_id=note"]
    uploaded = json.loads(said("-s", f"{documents}/documents?wait=30", *form))
    assert uploaded["documents"][0]["state"] == "SUCCEEDED"
    query = ["-G", f"{documents}/documents", "--data-urlencode", 'filter={"eq":["kind","note"]}']
    assert [each["document_id"] for each in json.loads(said(*query))["documents"]] == ["note"]
    assert said("-i", "-X", "DELETE", documents).startswith("HTTP/1.1 204")
    assert json.loads(said("-s", documents))["reason"] == "COLLECTION_NOT_FOUND"
