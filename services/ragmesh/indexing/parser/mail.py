"""EML and web archives: headers, the plain body before the HTML one, attachments by name."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage, MIMEPart
from email.utils import parsedate_to_datetime

from ragmesh.core.errors import EncryptedFileError
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.builder import TextBuilder, normalised, one_line
from ragmesh.indexing.parser.decoding import decoded
from ragmesh.indexing.parser.markup import add_markup
from ragmesh.indexing.parser.properties import file_properties

CONTENT_TYPE = "message/rfc822"

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_LOCKED = {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
_MAX_SHOWN = 2_000
_MAX_PARTS = 1_000


def read_mail(content: bytes) -> Extraction:
    """Who wrote to whom and when, the body, and the names of what is attached."""
    message = email.message_from_bytes(content.lstrip(), policy=email.policy.default)
    if not isinstance(message, EmailMessage):
        raise TypeError("the policy makes messages of another class")
    if message.get_content_type() in _LOCKED:
        raise EncryptedFileError("the message is encrypted; save it decrypted")
    builder = TextBuilder()
    builder.lines([f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))])
    body = message.get_body(("plain", "html"))
    if body is not None:
        _add_body(builder, body)
    attached = list(_attached(message, body))
    names = [name for name, _ in attached if name]
    builder.lines([f"Attachment: {name}" for name in names])
    properties = file_properties(
        author=_header(message, "From"),
        created=_sent(message),
        images=[name for name, kind in attached if kind == "image"],
    )
    return builder.extraction(
        title=_header(message, "Subject"), content_type=CONTENT_TYPE, properties=properties
    )


def _header(message: EmailMessage, name: str) -> str:
    """A header on one line; a malformed one as it stands there."""
    try:
        value = message.get(name)
    except (ValueError, IndexError, AttributeError, TypeError, LookupError):
        # What email makes of headers that no mail program writes; the raw one is still readable.
        value = next((v for k, v in message.raw_items() if k.lower() == name.lower()), "")
    return one_line(str(value or "")[:_MAX_SHOWN])


def _sent(message: EmailMessage) -> str:
    try:
        return parsedate_to_datetime(_header(message, "Date")).isoformat()
    except (ValueError, TypeError, IndexError):
        return ""


def _add_body(builder: TextBuilder, body: MIMEPart) -> None:
    payload = body.get_payload(decode=True)
    text = decoded(payload if isinstance(payload, bytes) else b"", claimed=_charset(body))
    if body.get_content_subtype() == "html":
        add_markup(builder, text)
        return
    for paragraph in normalised(text).split("\n\n"):
        builder.paragraph(paragraph)


def _charset(body: MIMEPart) -> str:
    try:
        return body.get_content_charset() or ""
    except (LookupError, UnicodeError):
        return ""


def _attached(message: EmailMessage, body: MIMEPart | None) -> Iterator[tuple[str, str]]:
    """Name and main type of every part that is neither the body nor another form of it."""
    for number, part in enumerate(message.walk()):
        if number == _MAX_PARTS:
            return
        name = one_line(part.get_filename() or part.get("Content-Location") or "")[:200]
        is_text = part.get_content_maintype() in {"text", "multipart"}
        if part is not body and part is not message and (name or not is_text):
            yield name, part.get_content_maintype()
