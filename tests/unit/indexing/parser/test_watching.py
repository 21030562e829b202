"""What a parser should have loaded before is seen, and nothing else is."""

from __future__ import annotations

import sys

from ragmesh.indexing.parser.watching import LateLoads


def test_an_import_that_the_walls_stop_is_told_once() -> None:
    late = LateLoads()
    late.note("import", ("wsgiref", None, None, None, None))
    late.note("import", ("email.mime", None, None, None, None))
    assert late.taken() == ["email.mime", "wsgiref"]
    assert late.taken() == []


def test_what_no_walls_would_have_found_is_not_told() -> None:
    late = LateLoads()
    late.note("import", ("no_such_module", None, None, None, None))
    late.note("import", ("encodings.made_up_by_a_file", None, None, None, None))
    late.note("open", ("/etc/passwd", "r", 0))
    late.note("open", (3, "r", 0))
    assert late.taken() == []


def test_a_file_that_came_with_a_library_is_told_without_its_folder() -> None:
    late = LateLoads()
    late.note("open", (f"{sys.prefix}/lib/words.txt", "r", 0))
    assert late.taken() == ["lib/words.txt"]


def test_the_names_that_are_kept_are_few() -> None:
    late = LateLoads()
    for place in range(99):
        late.note("open", (f"{sys.prefix}/{place}", "r", 0))
    assert len(late.taken()) == 20
