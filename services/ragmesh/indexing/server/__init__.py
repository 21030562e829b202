"""The gRPC face of indexing: translate, call, translate."""

from __future__ import annotations

import grpc

from ragmesh.api.indexing.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    head_service_pb2,
    head_service_pb2_grpc,
    migration_service_pb2,
    migration_service_pb2_grpc,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)
from ragmesh.indexing.server.catalog import CatalogServicer
from ragmesh.indexing.server.heads import HeadServicer
from ragmesh.indexing.server.migrations import MigrationServicer
from ragmesh.indexing.server.tenants import TenantServicer
from ragmesh.indexing.service import IndexingService

SERVICE_NAMES = (
    catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name,
    head_service_pb2.DESCRIPTOR.services_by_name["HeadService"].full_name,
    migration_service_pb2.DESCRIPTOR.services_by_name["MigrationService"].full_name,
    tenant_service_pb2.DESCRIPTOR.services_by_name["TenantService"].full_name,
)
"""Everything that this service serves."""

__all__ = [
    "SERVICE_NAMES",
    "CatalogServicer",
    "HeadServicer",
    "MigrationServicer",
    "TenantServicer",
    "add_indexing",
]


def add_indexing(server: grpc.aio.Server, service: IndexingService) -> None:
    """Register everything that indexing serves; SERVICE_NAMES lists it."""
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogServicer(service), server)
    head_service_pb2_grpc.add_HeadServiceServicer_to_server(HeadServicer(service), server)
    migration_service_pb2_grpc.add_MigrationServiceServicer_to_server(
        MigrationServicer(service), server
    )
    tenant_service_pb2_grpc.add_TenantServiceServicer_to_server(TenantServicer(service), server)
