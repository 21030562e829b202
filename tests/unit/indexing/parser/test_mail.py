"""What messages become."""

from __future__ import annotations

import pytest

from ragmesh.core.errors import EncryptedFileError
from tests.unit.indexing.parser.reads import lines, read

FIELDS = (
    "Received: from a by b\r\nFrom: =?utf-8?q?Ada_Qu=C3=A4y?= <ada@example.org>\r\n"
    "To: Grace <grace@example.org>\r\nSubject: The new\r\n plough\r\n"
    "Date: Wed, 01 May 2024 08:00:00 +0200\r\nMIME-Version: 1.0\r\n"
)
BOTH = (
    'Content-Type: multipart/alternative; boundary="y"\r\n\r\n'
    "--y\r\nContent-Type: text/html\r\n\r\n<p>The <b>red</b> page.</p>\r\n"
    '--y\r\nContent-Type: text/plain; charset="iso-8859-1"\r\n'
    "Content-Transfer-Encoding: quoted-printable\r\n\r\nThe plough for Gr=F6msiel.\r\n--y--\r\n"
)
ATTACHED = (
    'Content-Type: multipart/mixed; boundary="x"\r\n\r\n'
    f"--x\r\n{BOTH}\r\n"
    '--x\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename="plough.png"\r\n'
    "Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--x--\r\n"
)


def test_a_message_shows_its_headers_then_its_plain_body_then_what_is_attached() -> None:
    extraction = read(FIELDS + ATTACHED, "a.txt")
    assert extraction.content_type == "message/rfc822"
    assert extraction.text == (
        "From: Ada Quäy <ada@example.org>\nTo: Grace <grace@example.org>\n"
        "Date: Wed, 01 May 2024 08:00:00 +0200\nSubject: The new plough\n\n"
        "The plough for Grömsiel.\n\nAttachment: plough.png"
    )
    assert "Attachment: plough.png" in lines(extraction)
    assert extraction.title == "The new plough"
    properties = extraction.properties
    assert properties.author == "Ada Quäy <ada@example.org>"
    assert properties.created == "2024-05-01T08:00:00+02:00"
    assert (properties.images, properties.image_names) == (1, ("plough.png",))


def test_a_message_of_html_alone_is_read_without_its_tags() -> None:
    extraction = read(f"{FIELDS}Content-Type: text/html\r\n\r\n<p>The <b>red</b> page.</p>")
    assert extraction.text.endswith("The red page.")


def test_a_web_archive_is_read_by_its_page() -> None:
    archive = (
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/related; type="text/html"; boundary="z"\r\n\r\n--z\r\n'
        "Content-Type: text/html\r\nContent-Location: http://example.org/\r\n\r\n"
        "<h1>The quay</h1><p>It is long.</p>\r\n--z\r\nContent-Type: image/gif\r\n"
        "Content-Location: http://example.org/a.gif\r\n\r\nGIF89a\r\n--z--\r\n"
    )
    extraction = read(archive, "page.mht")
    assert "It is long." in extraction.text
    assert extraction.properties.images == 1


def test_an_encrypted_message_is_named_as_such() -> None:
    with pytest.raises(EncryptedFileError):
        read(FIELDS + "Content-Type: application/pkcs7-mime\r\n\r\nMIAGCSqGSIb3DQ\r\n")


def test_text_with_fields_that_no_message_has_is_no_message() -> None:
    source = "PEP: 1\nTitle: The Way\nAuthor: Ada\nDate: 2024-05-01\n\nWords.\n"
    assert read(source).content_type == "text/plain"


def mixed(*parts: str) -> str:
    """A message of these parts, one after another."""
    content = "".join(f"--m\r\n{part}\r\n" for part in parts)
    return f'{FIELDS}Content-Type: multipart/mixed; boundary="m"\r\n\r\n{content}--m--\r\n'


def test_every_text_of_a_message_is_read_in_order() -> None:
    picture = 'Content-Type: image/png; name="quay.png"\r\n\r\nx'
    forwarded = f"Content-Type: message/rfc822\r\n\r\nSubject: Earlier\r\n{ATTACHED}"
    text = read(
        mixed("\r\nAbove the picture.", picture, "\r\nBelow it.", forwarded)
    ).text.partition("plough\n\n")[2]
    assert text == (
        "Above the picture.\n\nBelow it.\n\nSubject: Earlier\n\nThe plough for Grömsiel.\n\n"
        "Attachment: quay.png\nAttachment: plough.png"
    )


def test_a_text_that_is_attached_by_name_is_only_named() -> None:
    named = 'Content-Disposition: attachment; filename="list.txt"\r\n\r\nsalt'
    unnamed = "Content-Disposition: attachment\r\n\r\nsand"
    text = read(mixed("\r\nThe lists.", named, unnamed)).text
    assert text.endswith("The lists.\n\nsand\n\nAttachment: list.txt")


def test_an_empty_plain_form_does_not_hide_the_page() -> None:
    forms = BOTH.replace("The plough for Gr=F6msiel.", " ")
    assert read(FIELDS + forms).text.endswith("The red page.")


@pytest.mark.parametrize(
    ("charset", "words"),
    [
        ("iso-2022-jp", "こんにちは世界。"),
        ("iso-2022-kr", "안녕하세요"),
        ("hz", "你好"),
        ("utf-7", "Öl"),
    ],
)
def test_a_body_of_seven_bits_is_read_in_its_charset(charset: str, words: str) -> None:
    fields = f"{FIELDS}Content-Type: text/plain; charset={charset}\r\n\r\n"
    assert read(fields.encode() + words.encode(charset)).text.endswith(words)


@pytest.mark.parametrize(
    "fields",
    [
        "Date: Wed, 99 Foo 20244 08:00\r\n",
        "Content-Type: text/plain; charset=nonsense\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        'Content-Type: multipart/mixed; boundary=""\r\n',
        'To: "unclosed <,;:<>@[\r\n',
        "Subject: =?nonsense?x?==?=\r\n",
    ],
)
def test_malformed_headers_do_not_hide_the_words(fields: str) -> None:
    start = "From: ada@example.org\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n"
    assert "ada@example.org" in read(f"{start}{fields}\r\nThe words.").text
