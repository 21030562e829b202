"""What commands find around them, and the options that all clients share."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from ragmesh.app.cli.completion import collection_names
from ragmesh.app.cli.ports import Connect, Mesh
from ragmesh.core.errors import UnavailableError

DEFAULT_SERVER = "127.0.0.1:50051"
SERVER_VARIABLE = "RAGMESH_SERVER"
API_KEY_VARIABLE = "RAGMESH_API_KEY"

_ENCRYPTED = re.compile(r"(https|grpcs)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?/?")
_PATHS = "paths"
"""The parameter of `documents add`."""

Result = TypeVar("Result")
Options = ParamSpec("Options")
Command = TypeVar("Command", bound=Callable[..., Any])


CA_VARIABLE = "RAGMESH_CA_FILE"


@asynccontextmanager
async def dial(address: str, *, api_key: str, ca_file: Path | None) -> AsyncIterator[Mesh]:
    """The gateway at a gRPC address; who does not come about with it learns why."""
    from ragmesh.chassis.grpc_security import Server
    from ragmesh.clients.gateway import gateway_client

    server = Server.parse(address, ca_file=ca_file)
    try:
        async with gateway_client(
            server.address, api_key=api_key, security=server.security
        ) as mesh:
            yield mesh
    except UnavailableError as error:
        found = await server.fault() if error.reason == UnavailableError.reason else None
        if found is None:
            raise
        raise found from error


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment of the process, and how a mesh is reached; tests give others."""

    environ: Mapping[str, str]
    connect: Connect = dial

    def server(self, flag: str | None) -> str:
        """The gRPC address that a flag, the environment or the default names."""
        return _checked_address(flag or self.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER)

    @property
    def ca_file(self) -> Path | None:
        """Authorities to believe in the place of those that everybody believes."""
        given = self.environ.get(CA_VARIABLE)
        return Path(given) if given else None

    @asynccontextmanager
    async def mesh(self, address: str) -> AsyncIterator[Mesh]:
        """The mesh at a gRPC address; who cannot be reached is named with what to do about it."""
        api_key = self.environ.get(API_KEY_VARIABLE, "")
        try:
            async with self.connect(address, api_key=api_key, ca_file=self.ca_file) as mesh:
                yield mesh
        except UnavailableError as error:
            if error.reason != UnavailableError.reason:
                raise
            raise UnavailableError(
                f"the mesh at {address} is not available; `ragmesh run` starts one, --server or "
                f"{SERVER_VARIABLE} names another ({error.message})"
            ) from error


@dataclass(frozen=True, slots=True)
class Client:
    """What a command that speaks to a mesh was given."""

    surroundings: Surroundings
    address: str
    as_json: bool

    def call(self, work: Callable[[Mesh], Coroutine[Any, Any, Result]]) -> Result:
        """Run the work on the mesh, to its end."""

        async def main() -> Result:
            async with self.surroundings.mesh(self.address) as mesh:
                return await work(mesh)

        return asyncio.run(main())


def _checked_address(text: str) -> str:
    if _ENCRYPTED.fullmatch(text):
        return text
    host, colon, port = text.rpartition(":")
    if text.startswith("unix:/") or (colon and host and port.isascii() and port.isdigit()):
        return text
    raise click.BadParameter(
        f"{text!r} is not the gRPC address HOST:PORT or https://HOST:PORT of a mesh",
        param_hint="--server",
    )


def client_options(
    command: Callable[Concatenate[Client, Options], None],
) -> Callable[..., None]:
    """Every client takes `--server` and `--json`; the command is handed a Client for them."""

    @server_option
    @json_option
    @click.pass_obj
    @functools.wraps(command)
    def with_client(
        surroundings: Surroundings,
        /,
        server: str | None,
        as_json: bool,
        *args: Options.args,
        **options: Options.kwargs,
    ) -> None:
        _refuse_broken_text(options)
        client = Client(surroundings, surroundings.server(server), as_json)
        command(client, *args, **options)

    return with_client


def _refuse_broken_text(options: Mapping[str, object]) -> None:
    """Words that are not UTF-8 cannot be sent; only paths may be such, which stay here."""
    for name, value in options.items():
        for text in value if isinstance(value, tuple) else (value,):
            if name != _PATHS and isinstance(text, str) and not _is_text(text):
                raise click.BadParameter("the text is not UTF-8", param_hint=name)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def server_option(command: Command) -> Command:
    """`--server`, to be read through the surroundings, which know the default."""
    return click.option(
        "--server",
        metavar="HOST:PORT",
        help=f"gRPC address of the mesh, after https:// if it is encrypted (${CA_VARIABLE} names "
        f"the authorities to believe); by default ${SERVER_VARIABLE} or {DEFAULT_SERVER}.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json` as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def collection_option(command: Command) -> Command:
    """`-c`, without which there is nothing to work on."""
    return click.option(
        "-c",
        "--collection",
        required=True,
        metavar="NAME",
        help="The collection to use.",
        shell_complete=collection_names,
    )(command)


def filter_option(command: Command) -> Command:
    """`--filter` as the parameter `filter_json`."""
    return click.option(
        "--filter",
        "filter_json",
        metavar="JSON",
        help='Filter tree over metadata, such as \'{"eq": ["lang", "de"]}\'.',
    )(command)


def numbers_by_name(texts: Sequence[str], option: str) -> dict[str, float]:
    """Numbers by name; one without a name stands under the empty one."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        if name in found:
            named = f"{name!r} is named" if name else "the number without a name is said"
            raise click.BadParameter(f"{named} twice", param_hint=option)
        try:
            found[name] = float(number)
        except ValueError:
            raise click.BadParameter(
                f"{text!r} does not end in a number", param_hint=option
            ) from None
    return found
