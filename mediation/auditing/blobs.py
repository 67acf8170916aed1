"""The bytes of exhibits: there, and those that were filed. They are read outside any transaction."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from obstore.exceptions import BaseError

from evidence.errors import BadBlobKey, BlobMissing
from evidence.store import BlobStore, blob_key
from mediation.auditing.audited import Audited, Counts, Difference


@dataclass(frozen=True, slots=True)
class Blob:
    """What ought to be in the store: `sha256` in hex, `size` in bytes."""

    subject: str
    label: str
    case_id: uuid.UUID
    exhibit_id: uuid.UUID
    key: str
    sha256: str
    size: int


def expected(audited: Audited) -> list[Blob]:
    """The blobs of a case as its snapshot has them; none of what was redacted."""
    return [
        Blob(audited.case.reference, one.label, one.case_id, one.id, one.blob_key, one.sha256, one.size)
        for one in audited.exhibits
        if one.blob_key is not None and one.sha256 is not None
    ]


def stored(
    store: BlobStore, blobs: list[Blob], counts: Counts, *, redacted: Callable[[Blob], bool]
) -> Iterator[Difference]:
    """Each blob is there, of its size, and gives its digest. One that was `redacted` meanwhile needs not be."""
    for blob in blobs:
        counts.blobs += 1
        wrong = _wrong(store, blob)
        if wrong is not None and not redacted(blob):
            yield Difference(blob.subject, f"blob: {wrong}", blob.label)


def _wrong(store: BlobStore, blob: Blob) -> str | None:
    try:
        if blob.key != blob_key(str(blob.case_id), str(blob.exhibit_id), blob.sha256):
            return "its key is not made of case, exhibit and digest"
        digest, size = hashlib.sha256(), 0
        for chunk in store.get(blob.key):
            digest.update(chunk)
            size += len(chunk)
    except BadBlobKey:
        return "its digest is none"
    except BlobMissing:
        return "it is not in the store"
    except (BaseError, OSError) as error:
        return f"it cannot be read: {type(error).__name__}"
    if size != blob.size:
        return f"it has {size} bytes, and {blob.size} were filed"
    return None if digest.hexdigest() == blob.sha256 else "its bytes do not give the digest that was filed"
