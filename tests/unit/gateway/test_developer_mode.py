"""Developer mode serves this machine only, and no page of elsewhere."""

from __future__ import annotations

import pytest

from ragmesh.core.errors import (
    ForeignHostError,
    ForeignOriginError,
    FormHeaderMissingError,
    InvalidSettingsError,
)
from ragmesh.gateway.developer_mode import (
    developer_mode_refusal,
    refuse_bare_form,
    refuse_foreign_host,
    refuse_foreign_origin,
)
from ragmesh.gateway.identity import DeveloperIdentity


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LocalHost:8080",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:65535",
    ],
)
def test_a_loopback_host_is_served(host: str) -> None:
    refuse_foreign_host([host])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "evil.example:localhost",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:8080",
        "localhost@evil.example",
        "192.168.0.10:8080",
        "0.0.0.0:8080",
        "[::]:8080",
        "[fe80::1]",
        "::1",
        "localhost:",
        "localhost:port",
        "localhost:123456",
        "localhost evil.example",
        "localhost\nevil.example",
        "",
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    with pytest.raises(ForeignHostError):
        refuse_foreign_host([host])


def test_no_host_and_two_hosts_are_refused() -> None:
    for hosts in ([], ["localhost", "evil.example"], ["localhost", "localhost"]):
        with pytest.raises(ForeignHostError):
            refuse_foreign_host(hosts)


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:8080", "http://127.0.0.1", "https://[::1]:8443", "HTTP://LOCALHOST"],
)
def test_a_page_of_this_machine_is_served(origin: str) -> None:
    refuse_foreign_origin([origin], "same-origin")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://localhost.evil.example",
        "http://localhost:8080.evil.example",
        "null",
        "file://",
        "chrome-extension://localhost",
        "",
    ],
)
def test_a_page_of_elsewhere_is_refused(origin: str) -> None:
    with pytest.raises(ForeignOriginError):
        refuse_foreign_origin([origin], "")


def test_a_cross_site_request_without_an_origin_is_refused() -> None:
    for fetch_site in ("cross-site", "Cross-Site", " cross-site "):
        with pytest.raises(ForeignOriginError):
            refuse_foreign_origin([], fetch_site)
    for fetch_site in ("", "none", "same-origin", "same-site"):
        refuse_foreign_origin([], fetch_site)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x",
        "Multipart/Form-Data",
        "application/x-www-form-urlencoded",
        "text/plain;charset=utf-8",
    ],
)
def test_a_form_of_a_page_needs_the_header(content_type: str) -> None:
    origins = ["http://localhost:8080"]
    for header in ("", "0", "true"):
        with pytest.raises(FormHeaderMissingError):
            refuse_bare_form(origins, content_type, header)
    refuse_bare_form(origins, content_type, "1")


def test_programs_and_json_need_no_header() -> None:
    refuse_bare_form([], "multipart/form-data; boundary=x", "")
    refuse_bare_form(["http://localhost"], "application/json", "")


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "localhost:0", "[::1]:50051"])
def test_developer_mode_may_serve_at_loopback_addresses(address: str) -> None:
    assert developer_mode_refusal(address, in_cluster=False) is None


@pytest.mark.parametrize("address", ["0.0.0.0:8080", ":8080", "192.168.0.10:80", "mesh.example:80"])
def test_developer_mode_is_refused_where_others_could_reach_it(address: str) -> None:
    refusal = developer_mode_refusal(address, in_cluster=False)
    assert isinstance(refusal, InvalidSettingsError)
    assert address in refusal.message


def test_developer_mode_is_refused_in_a_cluster_at_any_address() -> None:
    refusal = developer_mode_refusal("127.0.0.1:8080", in_cluster=True)
    assert refusal is not None
    assert "cluster" in refusal.message


def test_everybody_is_the_developer_of_the_default_tenant() -> None:
    identity = DeveloperIdentity()
    assert identity.identify([]) == identity.identify(["Bearer anything"])
    assert identity.identify([]).is_admin
