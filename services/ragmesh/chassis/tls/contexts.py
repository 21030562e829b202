"""TLS as Python's own servers speak it: the HTTP door."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.chassis.tls.certificates import Certificate, CertificateFiles
from ragmesh.chassis.tls.following import FollowedCertificate

_log = logging.getLogger(__name__)


@asynccontextmanager
async def server_context(followed: FollowedCertificate) -> AsyncIterator[ssl.SSLContext]:
    """A context for a server whose new connections show the certificate that is in force."""
    made = _Context(followed)
    async with followed.following(made.renew):
        yield made.outer


class _Context:
    """One context that a server holds, which hands every handshake on to the newest one."""

    def __init__(self, followed: FollowedCertificate) -> None:
        self._followed = followed
        self._shown = followed.current
        self._newest = _context(followed.files)
        self.outer = _context(followed.files)
        self.outer.sni_callback = self._choose

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _on: ssl.SSLContext) -> None:
        handshake.context = self._newest

    async def renew(self) -> None:
        """Take up another certificate."""
        current: Certificate = self._followed.current
        if current is self._shown:
            return
        try:
            self._newest = await asyncio.to_thread(_context, self._followed.files)
        except (ssl.SSLError, OSError) as error:
            # They are changing just now, and will be looked at again.
            _log.warning("a certificate is taken up later", extra={"why": str(error)})
        else:
            self._shown = current


def _context(files: CertificateFiles) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(files.certificate_file, files.key_file)
    made.set_alpn_protocols(["http/1.1"])
    return made
