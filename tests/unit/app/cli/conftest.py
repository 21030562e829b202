"""The program on a fake mesh, and what it said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from ragmesh.app.cli.failing import exit_code
from ragmesh.app.cli.root import ragmesh
from ragmesh.app.cli.surroundings import Surroundings
from ragmesh.core.documents import NewCollection
from tests.unit.app.cli.fake_mesh import FakeMesh


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


class Program:
    """Runs commands as `ragmesh` does, on the fake mesh and an environment of its own."""

    def __init__(self, mesh: FakeMesh) -> None:
        self.mesh = mesh
        self.environ: dict[str, str] = {}
        self.typed = ""
        """What stands on its standard input."""

    def __call__(self, *arguments: str) -> Said:
        found = Surroundings(self.environ, self.mesh.connect)

        @click.command(context_settings={"ignore_unknown_options": True})
        @click.pass_context
        def as_a_process(context: click.Context) -> None:
            context.exit(
                exit_code(lambda: ragmesh.main(list(arguments), "ragmesh", None, False, obj=found))
            )

        said = CliRunner().invoke(as_a_process, input=self.typed)
        if said.exception is not None and not isinstance(said.exception, SystemExit):
            raise said.exception
        return Said(said.exit_code, said.stdout, said.stderr)

    def completions(self, typed: str) -> list[str]:
        """What a shell offers for the last word."""
        *before, incomplete = typed.split(" ")
        found = Surroundings(self.environ, self.mesh.connect)
        complete = ShellComplete(ragmesh, {"obj": found}, "ragmesh", "_RAGMESH_COMPLETE")
        return sorted(item.value for item in complete.get_completions(before, incomplete))


@pytest.fixture
def mesh() -> FakeMesh:
    return FakeMesh()


@pytest.fixture
async def notes(mesh: FakeMesh) -> str:
    await mesh.create_collection(NewCollection("notes"))
    return "notes"


@pytest.fixture
def program(mesh: FakeMesh) -> Callable[..., Said]:
    return Program(mesh)
