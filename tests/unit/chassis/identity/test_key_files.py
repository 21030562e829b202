from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ragmesh.chassis.identity.key_files import (
    KeyFiles,
    read_private_key,
    read_public_keys,
)
from ragmesh.chassis.identity.keys import SPEAKERS, Speaker
from ragmesh.chassis.secret_files import is_exposed
from ragmesh.core.errors import (
    KeyFileExposedError,
    KeyFileUnusableError,
    KeyNotListedError,
    PublicKeysUnusableError,
)

GATEWAY, CACHE = SPEAKERS["gateway"], SPEAKERS["cache"]
OLD_KEY = Ed25519PrivateKey.generate()


def files_in(folder: Path, target: str = "gateway") -> KeyFiles:
    return KeyFiles(folder / "identity" / f"{target}.key", folder / "identity" / "public-keys.json")


def pem(key: Ed25519PrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public(key: Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def written(path: Path, content: bytes | str, mode: int = 0o600) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def listing(*entries: object) -> str:
    return json.dumps({"keys": entries})


def test_a_first_start_makes_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.make(GATEWAY)
    assert stat.S_IMODE(files.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(files.key_file.parent.stat().st_mode) == 0o700
    key, ring = files.read(GATEWAY)
    assert ring.lets_speak(key, GATEWAY)
    assert "PRIVATE" not in files.public_keys_file.read_text()
    assert "PRIVATE" not in repr(key)


def test_later_starts_change_nothing(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.make(GATEWAY)
    before = (files.key_file.read_bytes(), files.public_keys_file.read_bytes())
    marks = files.marks()
    assert not files.make(GATEWAY)
    assert files.marks() == marks
    assert before == (files.key_file.read_bytes(), files.public_keys_file.read_bytes())


def test_each_target_has_a_key_of_its_own_in_one_public_file(tmp_path: Path) -> None:
    others_must_read = [
        files_in(tmp_path, target).make(speaker) for target, speaker in SPEAKERS.items()
    ]
    assert others_must_read == [False] + [True] * (len(SPEAKERS) - 1)
    ring = read_public_keys(files_in(tmp_path).public_keys_file)
    assert sorted(map(str, ring.keys)) == sorted(
        read_private_key(files_in(tmp_path, target).key_file).key_id for target in SPEAKERS
    )
    for target, speaker in SPEAKERS.items():
        key = read_private_key(files_in(tmp_path, target).key_file)
        assert ring.keys[key.key_id].speaker == speaker


def test_of_keys_that_speak_for_the_same_the_last_two_stay(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files_in(tmp_path, "cache").make(CACHE)
    keys = []
    for _ in range(4):
        files.make(GATEWAY)
        keys.append(read_private_key(files.key_file).key_id)
        files.key_file.unlink()
    ring = read_public_keys(files.public_keys_file)
    assert len(set(keys)) == 4
    assert {id_ for id_, key in ring.keys.items() if key.speaker == GATEWAY} == set(keys[-2:])
    assert sum(key.speaker == CACHE for key in ring.keys.values()) == 1


def test_a_start_that_broke_off_before_its_key_was_listed_is_finished(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.make(GATEWAY)
    files_in(tmp_path, "cache").make(CACHE)
    files.public_keys_file.unlink()
    key = files.key_file.read_bytes()
    files.make(GATEWAY)
    assert files.key_file.read_bytes() == key
    files.read(GATEWAY)


def test_a_public_file_that_is_damaged_is_told_and_not_replaced(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.make(GATEWAY)
    written(files.public_keys_file, "{")
    with pytest.raises(PublicKeysUnusableError):
        files_in(tmp_path, "cache").make(CACHE)
    assert files.public_keys_file.read_text() == "{"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o610, 0o602, 0o601, 0o644, 0o666, 0o777])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyFileExposedError) as caught:
        read_private_key(written(tmp_path / "key", pem(OLD_KEY), mode))
    assert caught.value.metadata == {"path": str(tmp_path / "key")}


@pytest.mark.parametrize(
    ("mode", "owner", "reader", "exposed"),
    [
        (0o600, 10001, 10001, False),
        (0o400, 0, 0, False),
        (0o440, 0, 10001, False),
        (0o440, 10001, 10001, True),
        (0o440, 0, 0, True),
        (0o460, 0, 10001, True),
        (0o444, 0, 10001, True),
        (0o440, 4711, 10001, True),
    ],
    ids=[
        "own file",
        "root's own file",
        "a Secret mounted with an fsGroup",
        "own file, read by the group too",
        "root's file, read by the group too",
        "root's file that the group can write",
        "a Secret that everybody reads",
        "somebody else's file",
    ],
)
def test_a_group_may_read_only_what_root_put_there(
    mode: int, owner: int, reader: int, exposed: bool
) -> None:
    assert is_exposed(stat.S_IFREG | mode, owner=owner, reader=reader) is exposed


def as_folder(path: Path) -> None:
    path.mkdir()


def as_nothing(_path: Path) -> None:
    pass


def as_pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def as_content(content: bytes) -> Callable[[Path], object]:
    return lambda path: written(path, content)


NOT_A_KEY: dict[str, Callable[[Path], object]] = {
    "missing": as_nothing,
    "a folder": as_folder,
    "a pipe": as_pipe,
    "empty": as_content(b""),
    "noise": as_content(b"\xff\xfe no key"),
    "huge": as_content(pem(OLD_KEY) + b"#" * 20_000),
    "a public key": as_content(
        OLD_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "encrypted": as_content(pem(OLD_KEY, b"password")),
    "an RSA key": as_content(pem(rsa.generate_private_key(65537, 2048))),
    "cut off": as_content(pem(OLD_KEY)[:-40]),
}


@pytest.mark.parametrize("kind", NOT_A_KEY)
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    NOT_A_KEY[kind](path)
    with pytest.raises(KeyFileUnusableError) as caught:
        read_private_key(path)
    assert caught.value.metadata == {"path": str(path)}
    assert "BEGIN" not in str(caught.value)


PUBLISHED = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC"
"""The example key of RFC 8410, section 10.3: it is no secret."""


def test_a_key_that_others_wrote_is_a_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    label = "PRIVATE KEY"
    written(path, f"-----BEGIN {label}-----\n{PUBLISHED}\n-----END {label}-----\n")
    assert len(read_private_key(path).key_id) == 16


GOOD = {"public_key": public(OLD_KEY), "machines": ["gateway"], "users": True}


def test_a_public_file_says_who_may_speak_for_whom(tmp_path: Path) -> None:
    other = {"public_key": public(Ed25519PrivateKey.generate()), "machines": ["cache"]}
    ring = read_public_keys(written(tmp_path / "keys", listing(GOOD, other)))
    assert {key.speaker for key in ring.keys.values()} == {
        Speaker(frozenset({"gateway"}), users=True),
        Speaker(frozenset({"cache"})),
    }


RSA = {"public_key": public(rsa.generate_private_key(65537, 2048)), "machines": ["cache"]}
UNUSABLE = {
    "not JSON": "keys: []",
    "empty": "",
    "no object": "[]",
    "no keys": "{}",
    "an empty list": listing(),
    "a key twice": listing(GOOD, {**GOOD, "machines": ["cache"]}),
    "an unknown field": listing({**GOOD, "user": True}),
    "users in words": listing({**GOOD, "users": "yes"}),
    "machines in words": listing({**GOOD, "machines": "gateway"}),
    "no public key": listing({"machines": ["gateway"]}),
    "a key that is not base64": listing({**GOOD, "public_key": "?"}),
    "a key that is none": listing({**GOOD, "public_key": "AAAA"}),
    "an RSA key": listing(RSA),
    "huge": " " * (1024 * 1024) + listing(GOOD),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_public_file_that_is_not_as_it_must_be_is_refused(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / "keys", UNUSABLE[kind])
    with pytest.raises(PublicKeysUnusableError) as caught:
        read_public_keys(path)
    assert caught.value.metadata == {"path": str(path)}


def test_a_public_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublicKeysUnusableError):
        read_public_keys(tmp_path / "keys")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_public_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(PublicKeysUnusableError):
        read_public_keys(written(tmp_path / "keys", listing(GOOD), mode))


@pytest.mark.parametrize(
    ("entry", "listed"),
    [
        (GOOD, True),
        ({**GOOD, "machines": ["gateway", "cache"]}, True),
        ({**GOOD, "users": False}, False),
        ({**GOOD, "machines": []}, False),
        ({**GOOD, "public_key": public(Ed25519PrivateKey.generate())}, False),
    ],
    ids=["exactly that", "more", "no users", "no machine", "another key"],
)
def test_a_process_whose_key_is_not_listed_for_all_it_does_says_what_is_missing(
    tmp_path: Path, entry: object, listed: bool
) -> None:
    files = KeyFiles(tmp_path / "key", tmp_path / "keys")
    written(files.key_file, pem(OLD_KEY))
    written(files.public_keys_file, listing(entry))
    if listed:
        files.read(GATEWAY)
        return
    with pytest.raises(KeyNotListedError) as caught:
        files.read(GATEWAY)
    missing = caught.value.message.partition("it needs ")[2]
    written(files.public_keys_file, listing(json.loads(missing)))
    files.read(GATEWAY)
