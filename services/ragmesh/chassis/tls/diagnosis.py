"""Why two sides do not come together: gRPC says "unavailable", and this which certificate it is.

A handshake of Python's own tells in codes what gRPC has only words for, so nothing is decided by
the text of a message.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ragmesh.core.errors import (
    CertificateExpiredError,
    CertificateNameError,
    CertificateNotYetValidError,
    CertificateRefusedError,
    CertificateUntrustedError,
    EncryptionMismatchError,
    RagmeshError,
)

_UNIX = "unix:"
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Handshake:
    """What this side brings along."""

    ca: bytes | None = None
    """PEM of the authorities that are believed; None = those of the system."""
    server_name: str = ""
    """What the server's certificate has to hold; "" = the host of the address."""
    certificate_file: Path | None = None
    key_file: Path | None = None


async def certificate_fault(address: str, handshake: Handshake) -> RagmeshError | None:
    """What is wrong with the certificates of either side; None when a connection comes about, or
    when there is nobody at the address."""
    try:
        context = await asyncio.to_thread(_context, handshake)
    except ssl.SSLError:
        return CertificateUntrustedError("the authorities to believe cannot be read as PEM")
    name = handshake.server_name or _host(address)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            reader, writer = await _connected(address, context, name)
            try:
                # Whether our own certificate is taken is told after the handshake: a server that
                # takes it begins to speak.
                begun = await reader.read(1)
            finally:
                writer.transport.abort()
    except ssl.SSLCertVerificationError as error:
        return _of_server(error, address, name)
    except ssl.SSLError as error:
        if error.reason is not None and "ALERT" in error.reason:
            return _refused(address)
        return EncryptionMismatchError(f"{address} does not speak TLS")
    except ConnectionResetError:
        return _refused(address)
    except (OSError, TimeoutError):
        return None
    return None if begun else _refused(address)


async def speaks_tls(address: str) -> bool:
    """Whether a server that was called in the clear wants to be called otherwise."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, writer = await _connected(address, context, _host(address))
            writer.transport.abort()
            return True
    return False


def _context(handshake: Handshake) -> ssl.SSLContext:
    authorities = None if handshake.ca is None else handshake.ca.decode("ascii", "replace")
    context = ssl.create_default_context(cadata=authorities)
    context.set_alpn_protocols(["h2"])
    if handshake.certificate_file is not None:
        context.load_cert_chain(handshake.certificate_file, handshake.key_file)
    return context


async def _connected(
    address: str, context: ssl.SSLContext, name: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith(_UNIX):
        path = address.removeprefix(_UNIX)
        return await asyncio.open_unix_connection(path, ssl=context, server_hostname=name)
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(
        host.strip("[]"), int(port), ssl=context, server_hostname=name
    )


def _host(address: str) -> str:
    return "localhost" if address.startswith(_UNIX) else address.rpartition(":")[0].strip("[]")


def _of_server(error: ssl.SSLCertVerificationError, address: str, name: str) -> RagmeshError:
    match error.verify_code:  # X509_V_ERR_… of OpenSSL
        case 10:
            return CertificateExpiredError(f"the certificate of {address} is expired")
        case 9:
            return CertificateNotYetValidError(
                f"the certificate of {address} is not valid yet; do the clocks differ?"
            )
        case 62 | 64:
            return CertificateNameError(f"the certificate of {address} does not hold {name}")
        case _:
            return CertificateUntrustedError(
                f"the certificate of {address} was not issued by an authority that is trusted here"
            )


def _refused(address: str) -> RagmeshError:
    return CertificateRefusedError(
        f"{address} does not accept the certificate of this side, or wants one"
    )
