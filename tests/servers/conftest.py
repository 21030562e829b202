"""Real servers, each started when the first test asks for it, and shared by all tests of a worker.

A test that kills or freezes one starts or thaws it again. Tests keep apart by names of their own:
a database, a prefix of topics, keys or objects, an index version.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import folder_in_memory
from tools.servers.server import Server, running


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture(scope="session")
def kafka_server(servers_folder: Path) -> Iterator[Server]:
    with running("kafka", servers_folder / "kafka") as server:
        yield server


@pytest.fixture(scope="session")
def weaviate_server(servers_folder: Path) -> Iterator[Server]:
    with running("weaviate", servers_folder / "weaviate") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(servers_folder: Path) -> Iterator[Server]:
    with running("postgres", servers_folder / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(servers_folder: Path) -> Iterator[Server]:
    with running("redis", servers_folder / "redis") as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(servers_folder: Path) -> Iterator[Server]:
    with running("s3", servers_folder / "s3") as server:
        yield server


@pytest.fixture(scope="session")
def collector_server(servers_folder: Path) -> Iterator[Server]:
    with running("collector", servers_folder / "collector") as server:
        yield server
