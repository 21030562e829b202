"""EML and web archives: headers, plain texts before HTML ones, attachments by name."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator, Sequence
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
_FORMS = {"multipart/alternative", "multipart/related"}
"""Parts of these are forms of one text, or what belongs to it."""
_TEXTS = {"text", "multipart"}
_MAX_SHOWN = 2_000


def read_mail(content: bytes) -> Extraction:
    """Who wrote to whom and when, every text in it, and the names of what is attached."""
    message = email.message_from_bytes(content.lstrip(), policy=email.policy.default)
    if not isinstance(message, EmailMessage):
        raise TypeError("the policy makes messages of another class")
    if message.get_content_type() in _LOCKED:
        raise EncryptedFileError("the message is encrypted; save it decrypted")
    builder = TextBuilder()
    bodies = _add_message(builder, message)
    attached = list(_attached(message, bodies))
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


def _add_message(builder: TextBuilder, message: MIMEPart) -> list[MIMEPart]:
    """Add the headers and texts of a message, and those of messages in it; the texts' parts."""
    builder.lines([f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))])
    bodies: list[MIMEPart] = []
    for part in _texts(message):
        if part.get_content_maintype() == "message":
            for inner in part.iter_parts():
                bodies += _add_message(builder, inner)
        else:
            _add_body(builder, part)
            bodies.append(part)
    return bodies


def _texts(part: MIMEPart) -> Iterator[MIMEPart]:
    """Texts and messages that are shown one after another; of forms of one text, the plain one."""
    if part.get_content_type() in _FORMS and part.is_multipart():
        forms = [part.get_body((form,)) for form in ("plain", "html")]
        found = [form for form in forms if form is not None]
        yield from [form for form in found if _payload(form).strip()][:1] or found[:1]
    elif part.get_content_maintype() == "message":
        yield part
    elif part.is_multipart():
        for inner in part.iter_parts():
            yield from _texts(inner)
    elif part.get_content_maintype() in _TEXTS and not _is_file(part):
        yield part


def _is_file(part: MIMEPart) -> bool:
    return bool(part.is_attachment() and part.get_filename())


def _header(message: MIMEPart, name: str) -> str:
    """A header on one line; a malformed one as it stands there."""
    try:
        value = message.get(name)
    except (ValueError, IndexError, AttributeError, TypeError, LookupError):
        # What email makes of headers that no mail program writes; the raw one is still readable.
        value = next((v for k, v in message.raw_items() if k.lower() == name.lower()), "")
    return one_line(str(value or "")[:_MAX_SHOWN])


def _sent(message: MIMEPart) -> str:
    try:
        return parsedate_to_datetime(_header(message, "Date")).isoformat()
    except (ValueError, TypeError, IndexError):
        return ""


def _add_body(builder: TextBuilder, body: MIMEPart) -> None:
    text = decoded(_payload(body), claimed=_charset(body))
    if body.get_content_subtype() == "html":
        add_markup(builder, text)
        return
    for paragraph in normalised(text).split("\n\n"):
        builder.paragraph(paragraph)


def _payload(body: MIMEPart) -> bytes:
    payload = body.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _charset(body: MIMEPart) -> str:
    try:
        return body.get_content_charset() or ""
    except (LookupError, UnicodeError):
        return ""


def _attached(message: MIMEPart, bodies: Sequence[MIMEPart]) -> Iterator[tuple[str, str]]:
    """Name and main type of every part that is neither a text that is shown nor a form of it."""
    shown = {id(body) for body in bodies}
    for part in message.walk():
        name = one_line(part.get_filename() or part.get("Content-Location") or "")[:200]
        is_text = part.get_content_maintype() in _TEXTS
        if id(part) not in shown and part is not message and (name or not is_text):
            yield name, part.get_content_maintype()
