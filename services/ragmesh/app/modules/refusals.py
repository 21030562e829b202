"""What can be known to be wrong with settings before anything of a target is imported or opened.

What a target is made of takes seconds to import: who mistyped a port is told before.
"""

from __future__ import annotations

from pathlib import Path

from ragmesh.app.modules.tls import shown_certificates
from ragmesh.app.settings import Settings
from ragmesh.chassis.addresses import Address, bound_socket, listening_address
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.locks import StoreLock
from ragmesh.gateway.adapters.admin_key_file import read_admin_key
from ragmesh.gateway.developer_mode import developer_mode_refusal


def refuse_certificates(settings: Settings, _in_cluster: bool) -> None:
    """Raise when nobody would accept a certificate of this process."""
    now = SystemClock().now()
    for _, files, name in shown_certificates(settings):
        files.read(now=now, name=name)


def refuse_public_listening(settings: Settings, in_cluster: bool) -> None:
    """Raise when nobody would be known there, or when another process has the port."""
    if settings.identity.admin_key_file is not None:
        read_admin_key(settings.identity.admin_key_file)
    for address in (settings.gateway.http, settings.gateway.grpc):
        refusal = developer_mode_refusal(address, in_cluster)
        if refusal is not None and not settings.has_identity:
            raise refusal
        bound_socket(Address.parse(address)).close()


def refuse_internal_listening(settings: Settings, _in_cluster: bool) -> None:
    """Raise when an internal address is not this machine's and anybody could call or read it, or
    when another process has it."""
    for address in (settings.internal_grpc, settings.internal_http):
        if address is not None:
            listening_address(address, allow_remote=settings.may_listen_beyond)
            bound_socket(Address.parse(address)).close()


def refuse_catalog(settings: Settings, _in_cluster: bool) -> None:
    """Raise when another process has the catalog's file open."""
    if settings.catalog_path is not None:
        refuse_held(settings.catalog_path)


def refuse_events(settings: Settings, _in_cluster: bool) -> None:
    """Raise when another process has the event log open."""
    if settings.events_path is not None:
        refuse_held(settings.events_path)


def refuse_index(settings: Settings, _in_cluster: bool) -> None:
    """Raise when another process has the index open."""
    if settings.index_path is not None:
        refuse_held(settings.index_path / "index")


def refuse_held(store: Path) -> None:
    """Raise when another process holds the lock of a store; where there is none, make none."""
    if store.with_name(f"{store.name}.lock").exists():
        with StoreLock(store):
            pass
