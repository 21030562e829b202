"""What a process accepts as its own certificate, and what makes those for development."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragmesh.chassis.tls.certificates import CertificateFiles
from ragmesh.chassis.tls.development import CA, DevelopmentFolder, Wanted
from ragmesh.core.errors import (
    CertificateExpiredError,
    CertificateNameError,
    CertificateNotYetValidError,
    CertificateUntrustedError,
    CertificateUnusableError,
    KeyFileExposedError,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAYS = 7
NAME = "retrieval.ragmesh.internal"
CACHE = Wanted("cache", ("cache.ragmesh.internal",))
RETRIEVAL = Wanted("retrieval", (NAME,))


def made(folder: Path, *wanted: Wanted, now: datetime = NOW) -> CertificateFiles:
    development = DevelopmentFolder(folder)
    development.make(wanted or [RETRIEVAL], now=now, days=DAYS)
    return development.files((wanted or [RETRIEVAL])[0].file)


def test_a_development_certificate_is_good_for_its_name(tmp_path: Path) -> None:
    certificate = made(tmp_path).read(now=NOW, name=NAME)
    assert certificate.names == (NAME,)
    assert certificate.seconds_left(NOW) == DAYS * 86_400


def test_keys_can_be_read_by_their_owner_alone(tmp_path: Path) -> None:
    made(tmp_path / "certs", RETRIEVAL, CACHE)
    keys = list((tmp_path / "certs").glob("*.key"))
    assert {file.stem for file in keys} == {"retrieval", "cache", CA}
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys} == {0o600}


def test_what_is_good_for_a_while_stays(tmp_path: Path) -> None:
    development = DevelopmentFolder(tmp_path)
    first = development.make([RETRIEVAL], now=NOW, days=DAYS)
    later = NOW + timedelta(days=DAYS) / 2
    again = development.make([RETRIEVAL, CACHE], now=later, days=DAYS)
    assert [one.is_new for one in (*first, *again)] == [True, False, True]
    assert again[0].expires == first[0].expires


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        pytest.param(timedelta(days=DAYS) * 0.7, RETRIEVAL, id="soon over"),
        pytest.param(timedelta(), replace(RETRIEVAL, names=(NAME, "other")), id="other names"),
    ],
)
def test_what_does_not_do_any_more_is_made_anew(
    tmp_path: Path, after: timedelta, wanted: Wanted
) -> None:
    made(tmp_path)
    (again,) = DevelopmentFolder(tmp_path).make([wanted], now=NOW + after, days=DAYS)
    assert again.is_new


def test_a_new_authority_is_believed_beside_the_one_before(tmp_path: Path) -> None:
    files = made(tmp_path)
    before = files.certificate_file.read_bytes()
    later = NOW + timedelta(days=85)
    DevelopmentFolder(tmp_path).make([RETRIEVAL], now=later, days=DAYS)
    assert files.read(now=later, name=NAME).chain != before
    ca = (tmp_path / "ca.pem").read_bytes()
    assert ca.count(b"BEGIN CERTIFICATE") == 2


def test_an_expired_certificate_says_since_when(tmp_path: Path) -> None:
    files = made(tmp_path)
    with pytest.raises(CertificateExpiredError, match="since 2026-12-05 12:00 UTC"):
        files.read(now=NOW + timedelta(days=DAYS))


def test_a_certificate_of_the_future_is_refused(tmp_path: Path) -> None:
    files = made(tmp_path)
    with pytest.raises(CertificateNotYetValidError):
        files.read(now=NOW - timedelta(hours=1))


def test_the_certificate_of_another_service_is_refused(tmp_path: Path) -> None:
    files = made(tmp_path, CACHE)
    with pytest.raises(CertificateNameError, match=r"holds cache\.\S+ and not retrieval"):
        files.read(now=NOW, name=NAME)


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    files = made(tmp_path / "one")
    stranger = made(tmp_path / "two")
    with pytest.raises(CertificateUntrustedError):
        replace(files, ca_file=stranger.ca_file).read(now=NOW)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    files = made(tmp_path)
    files.key_file.chmod(0o644)
    with pytest.raises(KeyFileExposedError):
        files.read(now=NOW)


@pytest.mark.parametrize("file", ["certificate_file", "key_file", "ca_file"])
@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n", None])
def test_files_that_hold_nothing_are_named(
    tmp_path: Path, file: str, content: bytes | None
) -> None:
    files = made(tmp_path)
    path: Path = getattr(files, file)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(CertificateUnusableError) as caught:
        files.read(now=NOW)
    assert caught.value.metadata["path"] == str(path)
