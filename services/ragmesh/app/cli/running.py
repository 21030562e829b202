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

if TYPE_CHECKING:
    from ragmesh.app.run import Ready
    from ragmesh.app.settings import Settings


@click.command()
@click.option("--target", help="What this process runs; all = every service, on local files.")
@click.option("--data-dir", metavar="DIR", help="Folder of all stores (.data).")
@click.option("--http", metavar="HOST:PORT", help="Public HTTP address (127.0.0.1:8080).")
@click.option("--grpc", metavar="HOST:PORT", help="Public gRPC address (127.0.0.1:50051).")
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
    from ragmesh.app.run import run_target
    from ragmesh.chassis.executors import run as run_loop

    settings = read_settings(surroundings, config, flags)
    _start_logging(settings)

    def announce(ready: Ready) -> None:
        _print_ready(ready, as_json=as_json)

    # Every pod has that variable.
    in_cluster = "KUBERNETES_SERVICE_HOST" in surroundings.environ
    run_loop(run_target(settings, announce=announce, in_cluster=in_cluster))


def read_settings(
    surroundings: Surroundings, config: str | None, flags: dict[str, str | None]
) -> Settings:
    """The settings from flags, variables and a file; whatever is wrong with them is one error."""
    from ragmesh.app.settings import Settings
    from ragmesh.chassis.settings import load

    names = {"http": "gateway.http", "grpc": "gateway.grpc"}
    return load(
        Settings,
        config_file=None if config is None else Path(config),
        environ=surroundings.environ,
        overrides={names.get(flag, flag): value for flag, value in flags.items()},
    )


def _start_logging(settings: Settings) -> None:
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
        click.echo(f"ragmesh is ready: {', '.join(serving)}. Ctrl-C stops it.")
    sys.stdout.flush()


def _stop_at_once_while_starting() -> None:
    """Before the lifecycle listens to signals nothing has been opened that would have to close."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
