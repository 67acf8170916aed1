"""The blob store: bytes under a key, written once, local or in a bucket, through obstore.

A local write is a file beside the final one (`key#1`), linked to the key when complete and never overwriting (obstore's
create mode; a bucket gets `If-None-Match: *`): a process killed half-way leaves at most the staged file, never half a
blob under its key. obstore does not call fsync, so `put` does before it returns: a row committed after it never points
to bytes that a power cut took back.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from evidence.chain import is_hex_digest
from evidence.errors import BadBlobKey, BadStoreUrl, BlobExists, BlobMissing, BlobNotDeleted

CHUNK_BYTES = 64 * 1024

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)


def blob_key(case_id: str, exhibit_id: str, sha256: str) -> str:
    """Return `case/exhibit/sha256`: bytes are never shared between exhibits, so a redaction touches one alone.

    Raises BadBlobKey for ids other than letters, digits, `_ . -`, or a digest that is not lowercase hex SHA-256.
    """
    if not _PART.fullmatch(case_id) or not _PART.fullmatch(exhibit_id) or not is_hex_digest(sha256):
        raise BadBlobKey("a key is made of two ids and a SHA-256 in lowercase hex")
    return f"{case_id}/{exhibit_id}/{sha256}"


def blob_folder(case_id: str, exhibit_id: str) -> str:
    """Return `case/exhibit`, under which all that is stored of one exhibit lies. Raises BadBlobKey as `blob_key`."""
    return blob_key(case_id, exhibit_id, "0" * 64).rpartition("/")[0]


def open_store(url: str) -> "BlobStore":
    """Open the store at a URL: file:///folder (made if missing), memory:///, s3://, gs:// or az://.

    Credentials of a bucket come from the environment in the provider's own way. Raises BadStoreUrl.
    """
    parts = urlsplit(url)
    try:
        if parts.scheme == "file":
            if parts.netloc not in ("", "localhost") or not parts.path:
                raise BadStoreUrl("a file URL has three slashes and an absolute path")
            folder = Path(unquote(parts.path))
            return BlobStore(LocalStore(folder, mkdir=True), folder)
        if parts.scheme not in ("memory", "s3", "gs", "az"):
            raise BadStoreUrl("the scheme must be file, memory, s3, gs or az")
        return BlobStore(from_url(url))
    except (BaseError, ValueError, OSError) as error:
        if isinstance(error, BadStoreUrl):
            raise
        # obstore's own words are chained, not repeated: they quote the URL, which may carry a secret.
        raise BadStoreUrl(f"the {parts.scheme} store does not open") from error


class BlobStore:
    """A store of blobs that are written once, read in chunks, and deleted only by a redaction."""

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    def put(self, key: str, fileobj: IO[bytes]) -> None:
        """Write what `fileobj` holds, from its start, under a key that was free. Blocking.

        The same bytes again are fine, so that a filing can be retried. Raises BlobExists if other bytes are there.
        A create is one request in every kind of store, so obstore holds the blob in memory once while it sends it;
        admission bounds its size.
        """
        fileobj.seek(0)
        try:
            obstore.put(self._store, key, fileobj, mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            fileobj.seek(0)
            if not self._holds(key, fileobj):
                raise BlobExists(key) from error
        if self._folder is not None:
            _settle(self._folder, key)

    def get(self, key: str) -> Iterator[bytes]:
        """Return the blob in chunks of some 64 KiB. Raises BlobMissing at once, not at the first chunk."""
        try:
            found = obstore.get(self._store, key)
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        return iter(found.stream(min_chunk_size=CHUNK_BYTES))

    def delete(self, key: str) -> None:
        """Delete the blob, for good. Not an error if there is none: a redaction repeated must end the same way."""
        # Buckets answer the deletion of nothing with success; the local store is brought to the same.
        with contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, key)
        if self._folder is not None:
            _forget_staged(self._folder / key)

    def delete_folder(self, folder: str) -> None:
        """Delete everything under a folder, for good; staged writes too. Not an error if there is nothing.

        Two may do so at once. Raises BlobNotDeleted where the store refuses or cannot be reached.
        """
        try:
            for batch in obstore.list(self._store, prefix=folder):
                for one in batch:
                    self.delete(one["path"])
            if self._folder is not None:
                _remove(self._folder / folder)
        except (BaseError, OSError) as error:
            raise BlobNotDeleted(folder) from error

    def folders(self, above: str) -> dict[str, datetime]:
        """The folders right under a folder, by name, with when something was last written into each."""
        found: dict[str, datetime] = {}
        try:
            for batch in obstore.list(self._store, prefix=above):
                for one in batch:
                    name = one["path"].removeprefix(f"{above}/").partition("/")[0]
                    found[name] = max(found.get(name, one["last_modified"]), one["last_modified"])
            if self._folder is not None:
                # A folder in which a write was killed half-way holds no blob that could be listed.
                for path in (self._folder / above).glob("*/"):
                    found.setdefault(path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC))
        except (BaseError, OSError) as error:
            raise BlobNotDeleted(above) from error
        return found

    def _holds(self, key: str, fileobj: IO[bytes]) -> bool:
        """Compare the stored blob with the rest of `fileobj`, chunk by chunk."""
        same = all(fileobj.read(len(chunk)) == chunk for chunk in self.get(key))
        return same and not fileobj.read(1)


def _settle(folder: Path, key: str) -> None:
    """Bring a blob, its name and the folders made for it to the disk."""
    path = folder / key
    for settled in (path, *path.parents):
        _sync(settled)
        if settled == folder:
            break


def _forget_staged(path: Path) -> None:
    """Delete what a write killed half-way left beside the blob: it holds the same words as the blob itself."""
    if path.parent.is_dir():
        for staged in path.parent.glob(f"{path.name}#*"):
            staged.unlink(missing_ok=True)
        _sync(path.parent)


def _remove(folder: Path) -> None:
    """Delete a folder of files, whoever else may be at it."""
    with contextlib.suppress(FileNotFoundError):
        for staged in folder.iterdir():
            staged.unlink(missing_ok=True)
        folder.rmdir()
        _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
