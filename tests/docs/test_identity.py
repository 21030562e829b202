"""What the pages say about keys and refusals is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from ragmesh.chassis.identity.key_files import read_public_keys
from ragmesh.chassis.identity.keys import SPEAKERS
from ragmesh.core.errors import callers
from ragmesh.core.errors.tree import DeniedError, UnauthenticatedError
from tests.docs.pages import page

ROTATION = "docs/how-to/rotate-service-keys.md"
EXPLANATION = "docs/explanation/identity.md"


def test_the_public_keys_file_of_the_page_is_one(tmp_path: Path) -> None:
    (block,) = [block for block in page(ROTATION).blocks if block.language == "json"]
    path = tmp_path / "public-keys.json"
    path.write_text(block.text)
    path.chmod(0o600)
    speakers = [key.speaker for key in read_public_keys(path).keys.values()]
    assert speakers == [SPEAKERS["gateway"], SPEAKERS["indexing"]]


def test_the_page_lists_every_reason_for_which_a_call_is_refused() -> None:
    listed = re.findall(r"^\| `([A-Z_]+)` \|", page(EXPLANATION).text, re.MULTILINE)
    refusals = [
        found.reason
        for found in vars(callers).values()
        if isinstance(found, type)
        and issubclass(found, UnauthenticatedError | DeniedError)
        and found.__module__ == callers.__name__
    ]
    assert sorted(listed) == sorted(refusals)
