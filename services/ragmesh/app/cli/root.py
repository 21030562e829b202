"""All commands under one name."""

from __future__ import annotations

import click

from ragmesh.app.cli.asking import ask, search
from ragmesh.app.cli.backups import backup
from ragmesh.app.cli.certificates import certs
from ragmesh.app.cli.chatting import chat
from ragmesh.app.cli.collections import collections
from ragmesh.app.cli.completion import completion
from ragmesh.app.cli.configuring import config
from ragmesh.app.cli.dead_letters import dead_letters
from ragmesh.app.cli.doctor import doctor
from ragmesh.app.cli.documents import documents
from ragmesh.app.cli.golden import evaluate
from ragmesh.app.cli.jobs import jobs
from ragmesh.app.cli.keys import keys
from ragmesh.app.cli.migrating import migrate
from ragmesh.app.cli.migrations import migrations
from ragmesh.app.cli.records import audit, sights, usage
from ragmesh.app.cli.running import run
from ragmesh.app.cli.tenants import tenants
from ragmesh.app.cli.topics import topics
from ragmesh.app.cli.version import version


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="COMMAND",
)
def ragmesh() -> None:
    """Answers questions over your own documents, with citations.

    `ragmesh run` starts a mesh; the other commands speak to one.
    """


_COMMANDS = (
    run,
    documents,
    ask,
    chat,
    search,
    collections,
    jobs,
    dead_letters,
    evaluate,
    migrations,
    keys,
    tenants,
    usage,
    audit,
    sights,
    certs,
    config,
    migrate,
    topics,
    backup,
    doctor,
    completion,
    version,
)
for command in _COMMANDS:
    ragmesh.add_command(command)
