"""Every method of the internal services, as the contract has them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from google.protobuf.descriptor import MethodDescriptor

import ragmesh.api

PUBLIC = "ragmesh.api.gateway."


def internal_methods() -> Iterator[MethodDescriptor]:
    """Every method that is not the gateway's, in the order of its full name."""
    found = []
    for module in pkgutil.walk_packages(ragmesh.api.__path__, "ragmesh.api."):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(module.name).DESCRIPTOR
            for service in file.services_by_name.values():
                if not service.full_name.startswith(PUBLIC):
                    found += service.methods
    yield from sorted(found, key=path_of)


def path_of(method: MethodDescriptor) -> str:
    """`/package.Service/Method`, as gRPC names it."""
    return f"/{method.containing_service.full_name}/{method.name}"
