"""What people have filled into the form of a PDF, which is no part of the text of its pages."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2
from pypdfium2 import raw

_FILLED = {
    raw.FPDF_FORMFIELD_TEXTFIELD,
    raw.FPDF_FORMFIELD_COMBOBOX,
    raw.FPDF_FORMFIELD_LISTBOX,
}
_MAX_FIELDS = 2_000
_MAX_BYTES = 100_000
_WIDE = ctypes.POINTER(raw.FPDF_WCHAR)


def open_form(document: pypdfium2.PdfDocument) -> None:
    """Have pdfium look at the form, if there is one; pages opened from then on show it."""
    if document.get_formtype() != raw.FORMTYPE_NONE:
        document.init_forms()


def filled_fields(page: pypdfium2.PdfPage) -> list[tuple[str, str]]:
    """Label and value of every field with a value, in the order of the page."""
    if page.formenv is None:
        return []
    fields: list[tuple[str, str]] = []
    for number in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_FIELDS)):
        annotation = raw.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            fields += _field(page.formenv, annotation)
        finally:
            raw.FPDFPage_CloseAnnot(annotation)
    return fields


def _field(form: Any, annotation: Any) -> Iterator[tuple[str, str]]:
    if raw.FPDFAnnot_GetSubtype(annotation) != raw.FPDF_ANNOT_WIDGET:
        return
    if raw.FPDFAnnot_GetFormFieldType(form, annotation) not in _FILLED:
        return
    value = _text(raw.FPDFAnnot_GetFormFieldValue, form, annotation).strip()
    if value:
        label = _text(raw.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
        yield label or _text(raw.FPDFAnnot_GetFormFieldName, form, annotation), value


def _text(get: Callable[..., int], form: Any, annotation: Any) -> str:
    size = get(form, annotation, None, 0)
    if not 2 < size <= _MAX_BYTES:
        return ""
    buffer = ctypes.create_string_buffer(size)
    get(form, annotation, ctypes.cast(buffer, _WIDE), size)
    return buffer.raw.decode("utf-16-le", errors="replace").rstrip("\x00")
