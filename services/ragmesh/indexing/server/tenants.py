"""Tenants over gRPC: their records; tenants and keys themselves are not offered yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NoReturn

from ragmesh.api.indexing.v1 import tenant_service_pb2 as pb
from ragmesh.core.errors import UnsupportedError
from ragmesh.indexing.server.records import Context, RecordServicer


class TenantServicer(RecordServicer):
    """Everything about tenants; the interceptor owns errors."""

    async def CreateTenant(self, _request: pb.CreateTenantRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def GetTenant(self, _request: pb.GetTenantRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def ListTenants(self, _request: pb.ListTenantsRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def UpdateTenant(self, _request: pb.UpdateTenantRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def DeleteTenant(self, _request: pb.DeleteTenantRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def CreateKey(self, _request: pb.CreateKeyRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def ListKeys(self, _request: pb.ListKeysRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def RevokeKey(self, _request: pb.RevokeKeyRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    def WatchKeys(
        self, _request: pb.WatchKeysRequest, _context: Context
    ) -> AsyncIterator[pb.WatchKeysResponse]:
        """Not offered yet."""
        raise _unsupported()


def _unsupported() -> UnsupportedError:
    return UnsupportedError("there is one tenant and no key yet")
