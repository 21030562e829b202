"""Blobs in a real S3 keep the promises of every blob store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.indexing.adapters.object_blobs import ObjectBlobs
from ragmesh.indexing.adapters.object_store import object_store
from ragmesh.testing.blobs_contract import BlobStoreContract, OpenBlobs
from tests.servers.indexing.buckets import Owner, place_in
from tools.servers.server import Server

pytestmark = pytest.mark.servers


class TestObjectBlobs(BlobStoreContract):
    @pytest.fixture
    def opener(self, s3_server: Server) -> OpenBlobs:
        place, owner = place_in(s3_server), Owner()

        @asynccontextmanager
        async def opened() -> AsyncIterator[ObjectBlobs]:
            yield ObjectBlobs(object_store(place, SystemClock()), owner)

        return opened
