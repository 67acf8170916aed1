"""Writing the archive member by member, and reading one of which nothing is trusted."""

import hashlib
import io
import mmap
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from evidence.dossier import spelling
from evidence.dossier.directory import check
from evidence.dossier.faults import Findings
from evidence.dossier.walking import Found, walk

CHUNK = 1 << 20


class Writer:
    """Writes members to a seekable file, which must be empty, in the order in which they must stand."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._at = 0
        self._last = b""
        self._records: list[bytes] = []

    def add(self, name: str, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Write a member as its bytes come; return its SHA-256 (hex) and size.

        Raises ValueError if the name is not ASCII or does not come after the last one, or the archive grows too large
        for its format.
        """
        encoded = name.encode("ascii")
        if encoded <= self._last:
            raise ValueError("members are written in the order of their names, each once")
        offset, size, crc, digest = self._at, 0, 0, hashlib.sha256()
        # What the header says is known only after the bytes; until then zeros hold its place.
        self._put(bytes(spelling.LOCAL_HEADER.size) + encoded)
        for chunk in chunks:
            self._put(chunk)
            size += len(chunk)
            crc = zlib.crc32(chunk, crc)
            digest.update(chunk)
        self._out.seek(offset)
        self._out.write(spelling.LOCAL_HEADER.pack(*spelling.local_fields(encoded, crc, size)))
        self._out.seek(self._at)
        self._records.append(
            spelling.DIRECTORY_RECORD.pack(*spelling.directory_fields(encoded, crc, size, offset)) + encoded
        )
        self._last = encoded
        return digest.hexdigest(), size

    def close(self) -> None:
        """Write the directory and the end record. Raises ValueError if there are more members than the format has."""
        if len(self._records) > spelling.MAX_MEMBERS:
            raise ValueError("the archive has too many members")
        offset, directory = self._at, b"".join(self._records)
        self._put(directory)
        self._put(spelling.END_RECORD.pack(*spelling.end_fields(len(self._records), len(directory), offset)))

    def _put(self, data: bytes) -> None:
        self._at += len(data)
        if self._at > spelling.MAX_BYTES:
            raise ValueError("the archive would reach 4 GiB")
        self._out.write(data)


@dataclass(frozen=True, slots=True)
class Member:
    """A member as it was found: `start` and `end` in bytes of the file, `sha256` in hex over what lies between.

    `stored` is false where the header says that the bytes are packed or encrypted: then they say nothing by themselves.
    """

    name: str
    start: int
    end: int
    sha256: str
    stored: bool

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


class Archive:
    """A file read as the archive that it ought to be; every way in which it is not lies in `found`.

    The file is mapped, or read at once if it cannot be; sizes that it claims are compared and never allocated.
    """

    def __init__(self, file: IO[bytes], found: Findings) -> None:
        self._map = _mapped(file)
        self._data = file.read(spelling.MAX_BYTES) if self._map is None else self._map
        raw = walk(self._data, found)
        sums = [self._fingerprint(one) for one in raw]
        check(self._data, raw, [crc for crc, _ in sums], found)
        self.members: dict[str, Member] = {}
        for one, (_, sha256) in zip(raw, sums, strict=True):
            # Of several members of one name the first is read; that there are more is a fault already.
            self.members.setdefault(one.shown, Member(one.shown, one.start, one.end, sha256, one.stored))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._map is not None:
            self._map.close()

    def read(self, member: Member) -> bytes:
        """Return all bytes of a member."""
        return self._data[member.start : member.end]

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a member, CHUNK at a time."""
        return self._chunks(member.start, member.end)

    def _chunks(self, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, CHUNK):
            yield self._data[at : min(at + CHUNK, end)]

    def _fingerprint(self, one: Found) -> tuple[int, str]:
        crc, digest = 0, hashlib.sha256()
        for chunk in self._chunks(one.start, one.end):
            crc = zlib.crc32(chunk, crc)
            digest.update(chunk)
        return crc, digest.hexdigest()


def open_archive(file: IO[bytes], found: Findings | None = None) -> Archive:
    """Read a file as an archive, as far as it can be read; deviations from the one spelling go to `found`.

    `file` is open for reading at its beginning. Raises OSError if it cannot be read.
    """
    return Archive(file, Findings() if found is None else found)


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of an open file from where it stands, CHUNK at a time."""
    while chunk := file.read(CHUNK):
        yield chunk


def _mapped(file: IO[bytes]) -> mmap.mmap | None:
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, AttributeError, io.UnsupportedOperation):
        # Not a file of its own (a buffer, a pipe), or empty: there is nothing to map.
        return None
