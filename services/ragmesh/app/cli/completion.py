"""`ragmesh completion`: what a shell sources so that TAB completes commands, options and names."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_VARIABLE = "_RAGMESH_COMPLETE"
_PATIENCE_SECONDS = 2.0
_SHOWN = 100


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion of a shell, to be sourced by it.

    For bash, `eval "$(ragmesh completion bash)"` in ~/.bashrc; the same for zsh in ~/.zshrc. For
    fish, `ragmesh completion fish > ~/.config/fish/completions/ragmesh.fish`. Names of collections
    are asked from the mesh.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    program = click.get_current_context().find_root().command
    click.echo(found(program, {}, "ragmesh", _VARIABLE).source())


def collection_names(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Collections of the mesh that begin so; none when it cannot be asked."""
    from click.shell_completion import CompletionItem

    from ragmesh.core.errors import RagmeshError

    try:
        found = asyncio.run(_names(context))
    except (RagmeshError, TimeoutError, click.ClickException):
        return []  # whoever presses TAB asked for no error
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


async def _names(context: click.Context) -> list[str]:
    from ragmesh.app.cli.surroundings import Surroundings
    from ragmesh.core.pages import PageRequest

    surroundings = context.ensure_object(Surroundings)
    address = surroundings.server(context.params.get("server"))
    async with asyncio.timeout(_PATIENCE_SECONDS), surroundings.mesh(address) as mesh:
        page = await mesh.list_collections(PageRequest(size=_SHOWN))
    return [collection.name for collection in page.items]
