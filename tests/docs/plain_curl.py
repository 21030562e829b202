"""As much of curl as the pages use, for machines without it: HTTP with the standard library.

Whatever else a page asks of it is refused, so that a page never passes by luck.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

_BOUNDARY = "a-boundary-that-no-page-holds"


def main(arguments: Sequence[str]) -> int:
    """Send one request and print what comes back."""
    given = _parser().parse_args(arguments)
    request = Request(_url(given), data=_content(given), method=given.method)
    for header in given.headers:
        name, _, value = header.partition(":")
        request.add_header(name.strip(), value.strip())
    if given.form:
        request.add_header("content-type", f"multipart/form-data; boundary={_BOUNDARY}")
    try:
        answer = urlopen(request)
    except HTTPError as error:
        answer = error
    with answer:
        if given.include:
            print(f"HTTP/1.1 {answer.status} {answer.reason}")
            print("\n".join(f"{name}: {value}" for name, value in answer.headers.items()), "\n")
        sys.stdout.write(answer.read().decode())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("curl", allow_abbrev=False)
    parser.add_argument("url")
    for flag, name in (("-s", "silent"), ("-N", "unbuffered"), ("-i", "include"), ("-G", "get")):
        parser.add_argument(flag, action="store_true", dest=name)
    parser.add_argument("-X", dest="method")
    parser.add_argument("-d", dest="data")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-F", dest="form", action="append", default=[])
    parser.add_argument("--data-urlencode", dest="query", action="append", default=[])
    return parser


def _url(given: argparse.Namespace) -> str:
    pairs = [pair.partition("=") for pair in given.query]
    query = "&".join(f"{name}={quote(value, safe='')}" for name, _, value in pairs)
    return f"{given.url}?{query}" if query else str(given.url)


def _content(given: argparse.Namespace) -> bytes | None:
    if given.data is not None:
        return str(given.data).encode()
    if not given.form:
        return None
    parts = []
    for field in given.form:
        name, _, value = field.partition("=")
        head = f"--{_BOUNDARY}\r\ncontent-disposition: form-data; name={json.dumps(name)}"
        if value.startswith("@"):
            path = Path(value[1:])
            parts.append(f"{head}; filename={json.dumps(path.name)}\r\n\r\n".encode())
            parts.append(path.read_bytes())
        else:
            parts.append(f"{head}\r\n\r\n{value}".encode())
        parts.append(b"\r\n")
    return b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
