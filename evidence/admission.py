"""Admission: what may be filed as an exhibit.

A file is streamed once, hashed on the way into an unnamed temporary file, and then judged by its content. The name
only claims a type; a claim that the content does not bear out is refused, and so is a file that does not parse to its
end. The digest of a file is over its bytes (a JSON filing, which is no file, is hashed in canonical form elsewhere).
"""

import hashlib
import re
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import IO, BinaryIO

import filetype

from evidence.errors import NotAdmitted
from evidence.formats import FIELD
from evidence.formats.archives import check_zip
from evidence.formats.images import check_image
from evidence.formats.pdfs import check_pdf
from evidence.formats.texts import check_json, check_text
from evidence.formats.videos import check_mp4

CHUNK_BYTES = 64 * 1024
MAX_BYTES = 10 * 1024 * 1024
MAX_NAME_BYTES = 255

TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "mp4": "video/mp4",
    "txt": "text/plain",
    "log": "text/plain",
    "jsonl": "text/plain",
    "csv": "text/csv",
    "json": "application/json",
    "zip": "application/zip",
}
"""What may be filed, by the extension that claims it."""

_TEXT = frozenset({"text/plain", "text/csv", "application/json"})
_BINARY = frozenset(TYPES.values()) - _TEXT
# An animated PNG is a PNG to every reader; filetype tells them apart.
_SAME_TYPE = {"image/apng": "image/png"}
# Characters that turn the direction of writing make "gpj.exe" look like "exe.jpg".
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(slots=True)
class Admitted:
    """A file that may be filed: `file` is open at its start and unnamed on disk, so closing it deletes it.

    `size` in bytes, `sha256` in lowercase hex, `encoding` for text types only (utf-8, utf-8-sig, utf-16, gb18030).
    """

    filename: str
    media_type: str
    size: int
    sha256: str
    encoding: str | None
    file: IO[bytes]

    def close(self) -> None:
        """Let go of the file. Safe to repeat."""
        self.file.close()

    def __enter__(self) -> "Admitted":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def admit(stream: BinaryIO, *, filename: str, max_bytes: int = MAX_BYTES) -> Admitted:
    """Read a file from `stream`, judge it, and return it; the caller closes the result (it is a context manager).

    Raises NotAdmitted with field `filename` (bad_file_name) or `file` (empty_file, too_large, unsupported_type,
    type_mismatch, and the codes of `formats`); its `status_hint` tells 413 and 415 from the rest. Errors of reading
    `stream` pass through.
    """
    _check_name(filename)
    claimed = _claimed_type(filename)
    # A real file and not a spooled one: the parsers map it and hand it to a child process.
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- it outlives this function in what is returned
    try:
        size, sha256 = _take(stream, file, max_bytes)
        media_type = _decide(file, claimed)
        encoding = _check_content(file, media_type, size)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Admitted(filename, media_type, size, sha256, encoding, file)


def _check_name(filename: str) -> None:
    def refuse(detail: str) -> NotAdmitted:
        return NotAdmitted("filename", "bad_file_name", detail)

    if not filename.strip() or filename in (".", ".."):
        raise refuse("the file has no name")
    if "/" in filename or "\\" in filename:
        raise refuse("a file name has no path in it")
    # Cc: control characters; Cs: lone surrogates, which have no UTF-8 form either.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in filename) or _BIDI.search(filename):
        raise refuse("the file name contains a control character")
    if len(filename.encode()) > MAX_NAME_BYTES:
        raise refuse(f"a file name has at most {MAX_NAME_BYTES} bytes in UTF-8")


def _claimed_type(filename: str) -> str | None:
    """Return the type that the extension claims, None without one. Raises NotAdmitted for one that is not taken."""
    extension = PurePosixPath(filename).suffix.removeprefix(".").lower()
    if not extension:
        return None
    if extension not in TYPES:
        raise _unsupported("this kind of file is not taken")
    return TYPES[extension]


def _take(stream: BinaryIO, file: IO[bytes], max_bytes: int) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    while chunk := stream.read(CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            raise NotAdmitted(FIELD, "too_large", f"a file has at most {max_bytes:,} bytes", "too_large")
        digest.update(chunk)
        file.write(chunk)
    if size == 0:
        raise NotAdmitted(FIELD, "empty_file", "the file is empty")
    # The parsers read through the descriptor, past Python's buffer.
    file.flush()
    return size, digest.hexdigest()


def _decide(file: IO[bytes], claimed: str | None) -> str:
    """Return the type by content, or raise NotAdmitted (unsupported_type, type_mismatch)."""
    file.seek(0)
    kind = filetype.guess(file.read(8192))
    found = None if kind is None else _SAME_TYPE.get(kind.mime, kind.mime)
    if found in _BINARY:
        if claimed not in (None, found):
            raise _mismatch(f"the name claims {claimed}, the content is {found}")
        return str(found)
    # Some signatures are two letters long ("BM" of a bitmap, "MZ" of a program), with which an honest text may begin.
    # What a name claims to be text is therefore judged as text, where no program or bitmap passes.
    if claimed in _TEXT:
        return str(claimed)
    if claimed is not None:
        raise _mismatch(f"the name claims {claimed}, the content is not that")
    if found is not None:
        raise _unsupported("this kind of file is not taken")
    return "text/plain"


def _check_content(file: IO[bytes], media_type: str, size: int) -> str | None:
    """Judge the content by the rules of its type; return the encoding of a text."""
    if media_type in _TEXT:
        encoding = check_text(file)
        if media_type == "application/json":
            check_json(file, encoding)
        return encoding
    if media_type == "application/pdf":
        check_pdf(file, size)
    elif media_type == "video/mp4":
        check_mp4(file, size)
    elif media_type == "application/zip":
        check_zip(file, size)
    else:
        check_image(file, media_type)
    return None


def _mismatch(detail: str) -> NotAdmitted:
    return NotAdmitted(FIELD, "type_mismatch", detail, "unsupported_type")


def _unsupported(detail: str) -> NotAdmitted:
    taken = ", ".join(sorted(TYPES))
    return NotAdmitted(FIELD, "unsupported_type", f"{detail}; taken are {taken}", "unsupported_type")
