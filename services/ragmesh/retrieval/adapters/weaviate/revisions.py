"""What is held of each revision: a write begins and ends with its record.

A revision has two sides, of which one is read. A change is written to the other one, and the record
then names that one: so a search finds the whole of the one or of the other, or each chunk twice for
a moment, and never a part. A record that only began says that the store may hold anything of the
revision.

The id of a record begins with that of its document, so that the store's own order of ids is the
order in which documents are listed; no index is kept for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from uuid import UUID, uuid4

from ragmesh.core.callers import Access
from ragmesh.core.index import Attributes, DocumentDigest
from ragmesh.retrieval.adapters.weaviate.objects import StoredObject
from ragmesh.retrieval.adapters.weaviate.shard import NIL_ID, Shard

_PROPERTIES = (
    "document_uid",
    "revision",
    "chunk_count",
    "digest",
    "attributes",
    "side",
    "other_count",
    "attempt",
    "retired_at",
)
_PREFIX_BYTES = 8
_FEW, _MANY = 50, 1_000


@dataclass(frozen=True, slots=True)
class Record:
    """One revision that is held, was held, or is being written."""

    document_uid: str
    revision: int
    chunk_count: int
    digest: str
    """Empty = its write has begun, and not ended."""
    attributes: Attributes
    side: int = 0
    """Which of its two sides is whole, or is being written."""
    other_count: int = 0
    """How many chunks the other side may hold, of a change that has not ended; 0 = none."""
    attempt: str = ""
    """Of whoever changed it last: two who are at it at once know by it that they are."""
    retired_at: float = 0.0
    """Seconds since 1970 at which it was deleted; its chunks stay a while for searches under way.
    0 = it is in force."""

    @property
    def is_held(self) -> bool:
        """Whether it is whole and in force."""
        return bool(self.digest) and not self.is_retired

    @property
    def is_readable(self) -> bool:
        """Whether it is whole, in force or not yet removed for good.

        A replica may hear of the revision that took its place later than the store does, and reads
        this one until then.
        """
        return bool(self.digest)

    @property
    def is_retired(self) -> bool:
        """Whether it was deleted."""
        return self.retired_at > 0.0

    @property
    def id(self) -> str:
        """Of its object."""
        return record_id(self.document_uid, self.revision)

    @property
    def told(self) -> DocumentDigest:
        """What is said of it."""
        return DocumentDigest(
            self.document_uid,
            self.revision,
            self.attributes.generation,
            self.chunk_count,
            self.digest,
        )

    def object(self) -> StoredObject:
        """As it is kept."""
        return StoredObject(
            self.id,
            {
                "document_uid": self.document_uid,
                "revision": self.revision,
                "chunk_count": self.chunk_count,
                "digest": self.digest,
                "attributes": _encode(self.attributes),
                "side": self.side,
                "other_count": self.other_count,
                "attempt": self.attempt,
                "retired_at": self.retired_at,
            },
        )


def new_attempt() -> str:
    """The name of one attempt to change a revision."""
    return uuid4().hex


def record_id(document_uid: str, revision: int) -> str:
    """The id of a revision's record: 64 bits of the document's order, then 64 of its name."""
    name = sha256(f"{document_uid}/{revision}".encode()).digest()
    return str(UUID(bytes=_prefix(document_uid) + name[:_PREFIX_BYTES]))


@dataclass(frozen=True, slots=True)
class Revisions:
    """The records of one index version."""

    shard: Shard

    async def get(self, document_uid: str, revision: int) -> Record | None:
        """The record of a revision, held or not.

        By its key in the store: after a kill no index may know it.
        """
        found = await self.shard.by_key(record_id(document_uid, revision))
        return None if found is None else _read(found)

    async def of(self, owners: Iterable[tuple[str, int]]) -> Mapping[tuple[str, int], Record]:
        """Those of the records that are there, held or not."""
        ids = [record_id(document_uid, revision) for document_uid, revision in owners]
        records = map(_read, (await self.shard.by_ids(ids, _PROPERTIES)).values())
        return {(one.document_uid, one.revision): one for one in records}

    async def of_document(self, document_uid: str) -> list[Record]:
        """The records of a document, held or not."""
        prefix = _prefix(document_uid)
        found: list[Record] = []
        cursor = _before(prefix)
        while True:
            page = await self.shard.in_order(cursor, _PROPERTIES, _FEW)
            alike = [_read(one) for one in page if UUID(one.id).bytes.startswith(prefix)]
            found += [one for one in alike if one.document_uid == document_uid]
            if len(alike) < _FEW:
                return found
            cursor = page[-1].id

    async def listed(self, after: tuple[str, int], count: int) -> tuple[list[Record], list[Record]]:
        """The first records in force after a document and revision, and those retired on the way.

        Ids order documents by 64 bits; those that share them are put in order here.
        """
        cursor = _before(_prefix(after[0])) if after[0] else NIL_ID
        limit = min(_MANY, count + _FEW)
        records: list[Record] = []
        while True:
            page = await self.shard.in_order(cursor, _PROPERTIES, limit)
            records += map(_read, page)
            is_last = len(page) < limit
            whole = records if is_last else _without_last_group(records)
            held = sorted((one for one in whole if one.is_held and _order(one) > after), key=_order)
            if is_last or len(held) >= count:
                return held[:count], [one for one in whole if one.is_retired]
            cursor = page[-1].id

    async def put(self, records: Iterable[Record]) -> None:
        """Keep the records, instead of those of the same revisions."""
        await self.shard.put([one.object() for one in records])

    async def retire(self, records: Iterable[Record], now: float) -> None:
        """Say that these are in force no longer; whoever is changing one gives way."""
        await self.put(replace(one, retired_at=now, attempt=new_attempt()) for one in records)

    async def forget(self, records: Iterable[Record]) -> None:
        """Remove the records themselves."""
        await self.shard.remove_keys([one.id for one in records])


def _order(record: Record) -> tuple[str, int]:
    return record.document_uid, record.revision


def _without_last_group(records: list[Record]) -> list[Record]:
    last = _prefix(records[-1].document_uid)
    return [one for one in records if _prefix(one.document_uid) != last]


def _prefix(document_uid: str) -> bytes:
    """What orders documents: the first half of a UUID, or the first letters of another name."""
    try:
        return UUID(document_uid).bytes[:_PREFIX_BYTES]
    except ValueError:
        return document_uid.encode()[:_PREFIX_BYTES].ljust(_PREFIX_BYTES, b"\0")


def _before(prefix: bytes) -> str:
    """An id before all that begin so."""
    return str(UUID(bytes=prefix + bytes(16 - len(prefix))))


def _read(stored: StoredObject) -> Record:
    of = stored.properties
    return Record(
        document_uid=of["document_uid"],
        revision=int(of["revision"]),
        chunk_count=int(of["chunk_count"]),
        digest=of.get("digest", ""),
        attributes=_decode(of["attributes"]),
        side=int(of.get("side", 0)),
        other_count=int(of.get("other_count", 0)),
        attempt=of.get("attempt", ""),
        retired_at=float(of.get("retired_at", 0.0)),
    )


def _encode(attributes: Attributes) -> str:
    fields = asdict(attributes)
    return json.dumps({**fields, "tokens": sorted(attributes.tokens)}, ensure_ascii=False)


def _decode(text: str) -> Attributes:
    fields = json.loads(text)
    groups = fields["access"]["groups"]
    return Attributes(
        **{
            **fields,
            "tokens": frozenset(fields["tokens"]),
            "slots": tuple((int(slot), float(value)) for slot, value in fields["slots"]),
            "access": Access(None if groups is None else tuple(groups)),
        }
    )
