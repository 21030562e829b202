"""The gRPC face of the gateway: translate, call, translate."""

from __future__ import annotations

import grpc

from ragmesh.api.gateway.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    ask_service_pb2,
    ask_service_pb2_grpc,
    collection_service_pb2,
    collection_service_pb2_grpc,
    document_service_pb2,
    document_service_pb2_grpc,
)
from ragmesh.gateway.server.admin import AdminServicer
from ragmesh.gateway.server.asking import AskServicer
from ragmesh.gateway.server.collections import CollectionServicer
from ragmesh.gateway.server.documents import DocumentServicer
from ragmesh.gateway.server.guarding import DoorGuard
from ragmesh.gateway.service import GatewayService

SERVICE_NAMES = (
    ask_service_pb2.DESCRIPTOR.services_by_name["AskService"].full_name,
    document_service_pb2.DESCRIPTOR.services_by_name["DocumentService"].full_name,
    collection_service_pb2.DESCRIPTOR.services_by_name["CollectionService"].full_name,
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name,
)
"""Everything that the public listener serves besides health and reflection."""

__all__ = [
    "SERVICE_NAMES",
    "AdminServicer",
    "AskServicer",
    "CollectionServicer",
    "DocumentServicer",
    "DoorGuard",
    "add_gateway",
]


def add_gateway(server: grpc.aio.Server, service: GatewayService) -> None:
    """Register the gateway's services; SERVICE_NAMES lists them."""
    ask_service_pb2_grpc.add_AskServiceServicer_to_server(AskServicer(service), server)
    document_service_pb2_grpc.add_DocumentServiceServicer_to_server(
        DocumentServicer(service), server
    )
    collection_service_pb2_grpc.add_CollectionServiceServicer_to_server(
        CollectionServicer(service), server
    )
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(service), server)
