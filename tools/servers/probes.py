"""Whether a server serves: each is asked in its own protocol, since a port opens too early."""

from __future__ import annotations

import socket
import struct
from http.client import HTTPConnection, HTTPException

_SECONDS = 1.0


def answers_http(host: str, port: int, path: str) -> bool:
    """Whether something other than a failure is answered, be it a refusal."""
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def answers_grpc(host: str, port: int) -> bool:
    """Whether the settings of an HTTP/2 connection are answered with settings."""
    settings = b"\0\0\0\4\0\0\0\0\0"
    return _asked(host, port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)[3:4] == b"\4"


def answers_redis(host: str, port: int) -> bool:
    """Whether PING is answered: by PONG, or by the wish for a password."""
    return _asked(host, port, b"PING\r\n").startswith((b"+PONG", b"-NOAUTH"))


def answers_kafka(host: str, port: int) -> bool:
    """Whether the broker says which versions of the protocol it speaks."""
    # ApiVersions (18) version 0, correlation 7, no client id. Answered: length, 7, no error.
    request = struct.pack(">hhih", 18, 0, 7, -1)
    reply = _asked(host, port, struct.pack(">i", len(request)) + request)
    return len(reply) >= 10 and struct.unpack(">ih", reply[4:10]) == (7, 0)


def answers_postgres(host: str, port: int) -> bool:
    """Whether a stranger is asked for a password: one that still starts refuses everybody."""
    words = b"user\0stranger\0\0"
    request = struct.pack(">ii", 8 + len(words), 196608) + words
    return _asked(host, port, request).startswith(b"R")


def _asked(host: str, port: int, request: bytes) -> bytes:
    """What comes back first; nothing from one who is not there."""
    try:
        with socket.create_connection((host, port), _SECONDS) as connection:
            connection.sendall(request)
            return connection.recv(4096)
    except OSError:
        return b""
