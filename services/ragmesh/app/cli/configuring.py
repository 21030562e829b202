"""`ragmesh config`: what a mesh would run with here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ragmesh.app.cli.printing import clean, print_json
from ragmesh.app.cli.running import read_settings
from ragmesh.app.cli.surroundings import Surroundings, json_option

if TYPE_CHECKING:
    from ragmesh.app.settings import Settings

_ABSENT = object()


@click.group()
def config() -> None:
    """Look at settings, without a mesh."""


@config.command()
@click.option("--data-dir", metavar="DIR", help="Folder of all stores (.data).")
@click.option("--config", "file", metavar="FILE", help="YAML file of settings.")
@click.option("--diff", "only_changed", is_flag=True, help="Only what differs from the defaults.")
@json_option
@click.pass_obj
def show(
    surroundings: Surroundings,
    data_dir: str | None,
    file: str | None,
    only_changed: bool,
    as_json: bool,
) -> None:
    """Print the settings that `ragmesh run` would have: of flags, variables, the file, defaults.

    The form is that of --config. Secrets are hidden; a secret in the output stands for one that is
    set.
    """
    from ragmesh.app.settings import Settings

    tree = tree_of(read_settings(surroundings, file, {"data_dir": data_dir}))
    if only_changed:
        tree = changed(tree, tree_of(Settings()))
    if as_json:
        print_json(tree)
    elif tree:
        click.echo(clean(_yaml(tree)), nl=False)


def tree_of(settings: Settings) -> dict[str, Any]:
    """Settings as plain values by section, with secrets hidden."""
    tree: dict[str, Any] = settings.model_dump(mode="json")
    return tree


def changed(tree: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The part of a tree that is not as it is by default; lists differ as a whole."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        default = defaults.get(name, _ABSENT)
        if isinstance(value, dict) and isinstance(default, dict):
            part = changed(value, default)
            if part:
                found[name] = part
        elif value != default:
            found[name] = value
    return found


def _yaml(tree: dict[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    return text
