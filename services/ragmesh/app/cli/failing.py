"""However a command ends: one line on stderr at most, and an exit code that tells which way."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import click

from ragmesh.app.cli.printing import one_line
from ragmesh.core.errors import InternalError, RagmeshError

FAILED, INTERRUPTED = 1, 130


def exit_code(command: Callable[[], object]) -> int:
    """Run a command; 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        result = command()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(usage_line(error), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except RagmeshError as error:
        return _tell(error)
    except BaseExceptionGroup as group:
        return _tell_group(group)
    except Exception as error:  # mapped to INTERNAL: nobody is shown a traceback
        return _tell(_defect(error))
    return result if isinstance(result, int) else 0


def _tell_group(group: BaseExceptionGroup[BaseException]) -> int:
    leaves = list(_leaves(group))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return INTERRUPTED
    ours = [leaf for leaf in leaves if isinstance(leaf, RagmeshError)]
    return _tell(ours[0] if ours else _defect(leaves[0]))


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for part in error.exceptions for leaf in _leaves(part)]


def _tell(error: RagmeshError) -> int:
    click.echo(error_line(error), err=True)
    return FAILED


def usage_line(error: click.ClickException) -> str:
    """What a person is told who used a command wrongly, and where it says how it is used."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = "ragmesh" if context is None else context.command_path
    sentence = one_line(error.format_message())
    stop = "" if sentence.endswith((".", "?", "!")) else "."
    return f"ragmesh: USAGE: {sentence}{stop} See `{path} --help`."


def error_line(error: RagmeshError) -> str:
    """What a person is told: `ragmesh: REASON: sentence`."""
    return f"ragmesh: {error.reason}: {one_line(error.message)}"


def _defect(error: BaseException) -> InternalError:
    """What a bug report needs, on one line; a message might hold a document's text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return InternalError(f"a defect of this program ({type(error).__name__}{where})")
