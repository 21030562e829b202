"""What the HTTP door promises about its certificate."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.http_servers import HttpOptions, HttpServer, serve_http
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.chassis.tls.contexts import server_context
from ragmesh.chassis.tls.development import DevelopmentFolder, Wanted
from ragmesh.chassis.tls.following import followed

DOOR = Wanted("door", ("localhost", "127.0.0.1"))
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def seen(server: HttpServer, ca: Path) -> tuple[bytes, str]:
    """What is answered, and which certificate was shown."""
    context = ssl.create_default_context(cafile=ca)
    host, _, port = server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.write(GET)
    answer = await reader.read()
    writer.transport.abort()
    return answer, hashlib.sha256(shown).hexdigest()


async def test_the_door_shows_a_new_certificate_without_a_restart(tmp_path: Path) -> None:
    folder = DevelopmentFolder(tmp_path)
    folder.make([DOOR], now=datetime.now(UTC), days=7)
    files = folder.files("door")
    ca = tmp_path / "ca.pem"
    renewed = asyncio.Event()
    door_files = replace(files, ca_file=None)
    async with Lifecycle() as life:
        opened = followed(door_files, SystemClock(), life.tasks, every_seconds=0.02, name=None)
        async with (
            opened as door,
            server_context(door) as security,
            serve_http(
                app, "127.0.0.1:0", tasks=life.tasks, options=HttpOptions(security=security)
            ) as server,
        ):
            assert server.url == f"https://{server.address}"
            answer, before = await seen(server, ca)
            assert answer.startswith(b"HTTP/1.1 200")

            async def look() -> None:  # called after the door has renewed
                if door.version:
                    renewed.set()

            async with door.following(look):
                folder.make([DOOR], now=datetime.now(UTC), days=7, renew=True)
                await asyncio.wait_for(renewed.wait(), 5)
            _, after = await seen(server, ca)
    assert before != after
