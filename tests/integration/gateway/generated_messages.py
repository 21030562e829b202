"""Messages made from their descriptors, and bytes that once were messages."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_DEPTH = 4
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-1, 12),
}
_KNOWN = ("handbook", "leave.md", "default", "user", "lang", "number", "a")
_NASTY = ("", " ", "\0", "../../etc/passwd", "a/b", "%2e%2e", "x" * 9_000, "\u202e", "ä", "1e999")
_TEXTS = st.one_of(st.sampled_from(_KNOWN), st.sampled_from(_NASTY), st.text(max_size=20))


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = _DEPTH) -> Message:
    """A message of this kind, its fields filled or not."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if draw(st.integers(0, 3)) == 0:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _fill_map(draw, message, field, depth)
        elif field.message_type is not None:
            _fill_parts(draw, message, field, depth)
        elif field.is_repeated:
            values = draw(st.lists(_scalars(field), max_size=3))
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, draw(_scalars(field)))
    return message


@st.composite
def payloads(draw: st.DrawFn, descriptor: Descriptor) -> bytes:
    """The bytes of a message, often with some of them changed, lost or added."""
    payload = bytearray(draw(messages(descriptor)).SerializeToString())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(payload)))
        match draw(st.sampled_from(("cut", "change", "add"))):
            case "cut":
                del payload[at:]
            case "change" if at < len(payload):
                payload[at] = draw(st.integers(0, 255))
            case _:
                payload[at:at] = draw(st.binary(max_size=8))
    return bytes(payload)


def _fill_parts(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    if depth == 0 or field.message_type is None:
        return
    for _ in range(draw(st.integers(1, 2)) if field.is_repeated else 1):
        part = draw(messages(field.message_type, depth - 1))
        target = getattr(message, field.name)
        (target.add() if field.is_repeated else target).CopyFrom(part)


def _fill_map(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    entry = field.message_type
    if depth == 0 or entry is None:
        return
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    target = getattr(message, field.name)
    name = draw(_scalars(key))
    if value.message_type is not None:
        target[name].CopyFrom(draw(messages(value.message_type, depth - 1)))
    else:
        target[name] = draw(_scalars(value))


def _scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if kind in _INTEGERS:
        low, high = _INTEGERS[kind]
        return st.one_of(st.integers(low, min(high, 12)), st.sampled_from((low, high)))
    match kind:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=20)
        case FieldDescriptor.CPPTYPE_STRING:
            return _TEXTS
        case FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.CPPTYPE_FLOAT:
            return st.floats(width=32)
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return st.floats()
    raise AssertionError(f"no values for {field.full_name}")
