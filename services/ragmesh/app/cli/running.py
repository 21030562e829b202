"""`ragmesh run`: one target as a process, until a signal says stop."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.printing import print_json
from ragmesh.app.cli.surroundings import Surroundings, json_option
from ragmesh.core.errors import RagmeshError, StoreUnusableError

if TYPE_CHECKING:
    from ragmesh.app.run import Ready
    from ragmesh.app.settings import Settings


@click.command()
@click.option(
    "--target", help="What this process runs: all = every service, on local files; or one of them."
)
@click.option("--data-dir", metavar="DIR", help="Folder of all stores (.data).")
@click.option("--http", metavar="HOST:PORT", help="Public HTTP address (127.0.0.1:8080).")
@click.option("--grpc", metavar="HOST:PORT", help="Public gRPC address (127.0.0.1:50051).")
@click.option(
    "--internal-grpc", metavar="HOST:PORT", help="Where other targets call this one's service."
)
@click.option("--internal-http", metavar="HOST:PORT", help="Probes and metrics.")
@click.option("--config", metavar="FILE", help="YAML file of settings.")
@json_option
@click.pass_obj
def run(
    surroundings: Surroundings, /, config: str | None, as_json: bool, **flags: str | None
) -> None:
    """Run a mesh; prints one line when everything serves. SIGTERM and Ctrl-C stop it.

    Port 0 is any free one. Every setting is also a variable, such as RAGMESH_GATEWAY__HTTP.
    """
    _stop_at_once_while_starting()
    settings = read_settings(surroundings, config, flags)
    # Imported late: a mistyped setting is told at once.
    from ragmesh.app.run import run_target
    from ragmesh.chassis.executors import run as run_loop
    from ragmesh.chassis.wire import as_mesh_error

    start_logging(settings)

    def announce(ready: Ready) -> None:
        _print_ready(ready, as_json=as_json)

    # Every pod has that variable.
    in_cluster = "KUBERNETES_SERVICE_HOST" in surroundings.environ
    try:
        run_loop(run_target(settings, announce=announce, in_cluster=in_cluster))
    except RagmeshError:
        raise
    except OSError as error:
        raise unusable(settings.data_dir, error) or as_mesh_error(error) from error
    except Exception as error:  # mapped: the log tells what one line cannot
        raise as_mesh_error(error) from error


def read_settings(
    surroundings: Surroundings, config: str | None, flags: dict[str, str | None]
) -> Settings:
    """The settings from flags, variables and a file; whatever is wrong with them is one error."""
    from ragmesh.app.settings import Settings
    from ragmesh.chassis.settings import load

    names = {
        "http": "gateway.http",
        "grpc": "gateway.grpc",
        "internal_grpc": "internal.grpc",
        "internal_http": "internal.http",
    }
    return load(
        Settings,
        config_file=None if config is None else Path(config),
        environ=surroundings.environ,
        overrides={names.get(flag, flag): value for flag, value in flags.items()},
    )


def unusable(data_dir: Path, error: OSError) -> StoreUnusableError | None:
    """What an error on a file means when the file is, holds or lies in the data directory."""
    if not isinstance(error.filename, str | os.PathLike):
        return None
    path, folder = Path(error.filename).absolute(), data_dir.absolute()
    if not (path.is_relative_to(folder) or folder.is_relative_to(path)):
        return None
    return StoreUnusableError(
        f"{path} cannot be used: {error.strerror}; choose another --data-dir",
        metadata={"path": str(path)},
    )


def start_logging(settings: Settings) -> None:
    """Have records go to stderr in the form that was asked for."""
    from ragmesh.chassis.logs import configure

    form = settings.log.form or ("human" if sys.stderr.isatty() else "json")
    configure(form, settings.log.level)


def _print_ready(ready: Ready, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "event": "ready",
                "http": ready.http,
                "grpc": ready.grpc,
                "internal_grpc": ready.internal_grpc,
                "internal_http": ready.internal_http,
            }
        )
    else:
        serving = [f"REST and its page {ready.http}/docs"] if ready.http else []
        serving += [f"gRPC {ready.grpc}"] if ready.grpc else []
        serving += [f"internal gRPC {ready.internal_grpc}"] if ready.internal_grpc else []
        serving += [f"probes and metrics {ready.internal_http}"] if ready.internal_http else []
        click.echo(f"ragmesh is ready: {', '.join(serving)}. Ctrl-C stops it.")
    sys.stdout.flush()


def _stop_at_once_while_starting() -> None:
    """Before the lifecycle listens to signals nothing has been opened that would have to close."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
