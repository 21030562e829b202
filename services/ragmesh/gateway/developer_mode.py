"""Developer mode: without identity only this machine is served, and only by its own choice.

A web page that its user happens to visit may send requests to a loopback port, and a name that it
owns may resolve to one. So the Host must be a loopback name, and a browser must not speak for a
page of elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragmesh.chassis.addresses import Address
from ragmesh.core.errors import (
    ForeignHostError,
    ForeignOriginError,
    FormHeaderMissingError,
    InvalidSettingsError,
)

FORM_HEADER = "x-ragmesh"
_AUTHORITY = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_ORIGIN = re.compile(rf"https?://{_AUTHORITY.pattern}", re.IGNORECASE)
_FORMS = frozenset({"multipart/form-data", "application/x-www-form-urlencoded", "text/plain"})
"""What a page may send anywhere without asking first; JSON is not among it."""


def developer_mode_refusal(address: str, in_cluster: bool) -> InvalidSettingsError | None:
    """Why developer mode may not serve at this address, None when it may."""
    if in_cluster:
        return InvalidSettingsError(
            "developer mode serves everybody as an administrator and is refused in a cluster; "
            "set identity.admin_key_file"
        )
    if not Address.parse(address).is_loopback:
        return InvalidSettingsError(
            f"developer mode serves everybody as an administrator and is refused at {address}; "
            "listen on 127.0.0.1, ::1 or localhost, or set identity.admin_key_file",
            metadata={"address": address},
        )
    return None


def refuse_foreign_host(hosts: Sequence[str]) -> None:
    """Raise ForeignHostError unless there is one Host header and it names this machine."""
    if len(hosts) != 1 or not _AUTHORITY.fullmatch(hosts[0]):
        raise ForeignHostError(
            "without identity only localhost, 127.0.0.1 and [::1] are served as Host"
        )


def refuse_foreign_origin(origins: Sequence[str], fetch_site: str) -> None:
    """Raise ForeignOriginError when a browser speaks for a page of elsewhere."""
    if fetch_site.strip().lower() == "cross-site":
        raise ForeignOriginError("without identity pages of other sites are not served")
    if any(not _ORIGIN.fullmatch(origin) for origin in origins):
        raise ForeignOriginError("without identity pages of other origins are not served")


def refuse_bare_form(origins: Sequence[str], content_type: str, form_header: str) -> None:
    """Raise FormHeaderMissingError for a page's form that no script of ours sent."""
    kind = content_type.partition(";")[0].strip().lower()
    if origins and kind in _FORMS and form_header != "1":
        raise FormHeaderMissingError("a form upload from a page needs the header X-Ragmesh: 1")
