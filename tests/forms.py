"""Forms as browsers send them, byte for byte."""

from __future__ import annotations

TYPE = "multipart/form-data; boundary=B"


def part(name: bytes, content: bytes, filename: bytes | None = None) -> bytes:
    """A field of a form, or a file if it has a name of its own."""
    named = b"" if filename is None else b'; filename="' + filename + b'"'
    head = b'--B\r\nContent-Disposition: form-data; name="' + name + b'"' + named
    return head + b"\r\n\r\n" + content + b"\r\n"


END = b"--B--\r\n"
ONE = part(b"file", b"one", b"a.txt")
