"""Zip archives of chat exports: every member read to its end, under limits that a bomb cannot talk its way around."""

import copy
import mmap
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from typing import IO

import filetype

from evidence.errors import NotAdmitted
from evidence.formats import FIELD

CHUNK_BYTES = 64 * 1024
MAX_MEMBERS = 1_000
MAX_RATIO = 100
MAX_UNPACKED = 200 * 1024 * 1024

# Deflate and none at all: what every exporter writes. The other methods need far more memory to unpack.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DIRECTORY_RECORD = b"PK\x01\x02"
_DRIVE = re.compile(r"[A-Za-z]:")
_ARCHIVES = frozenset(
    "application/" + kind
    for kind in (
        "zip",
        "epub+zip",
        "gzip",
        "zstd",
        "x-7z-compressed",
        "x-brotli",
        "x-bzip2",
        "x-compress",
        "x-deb",
        "x-google-chrome-extension",
        "x-lz4",
        "x-lzip",
        "x-lzop",
        "x-rar-compressed",
        "x-rpm",
        "x-tar",
        "x-unix-archive",
        "x-xz",
        "vnd.ms-cab-compressed",
    )
)


def check_zip(file: IO[bytes], size: int) -> None:
    """Raise NotAdmitted unless the file is a sound zip archive. `size` is the file's, in bytes.

    Codes: not_parsed, empty_archive, too_many_members, unsafe_member_name, duplicate_member, linked_member,
    encrypted_member, unsupported_method, nested_archive, unpacks_too_large, false_size.
    """
    _check_count(file)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_directory(archive.infolist(), size)
            left = MAX_UNPACKED
            for member in archive.infolist():
                left -= _unpack(archive, member, left)
    # What zipfile is known to raise for damaged archives, beyond BadZipFile: NotImplementedError for a method or
    # version, RuntimeError for encryption, OSError for an offset before the file's beginning.
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        ValueError,
    ) as error:
        raise NotAdmitted(FIELD, "not_parsed", "the archive cannot be read to its end") from error


def _check_count(file: IO[bytes]) -> None:
    """Count the directory's records before zipfile, which holds all of them in memory, opens it."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        count, at = 0, data.find(_DIRECTORY_RECORD)
        while at >= 0 and count <= MAX_MEMBERS:
            count, at = count + 1, data.find(_DIRECTORY_RECORD, at + 4)
    if count > MAX_MEMBERS:
        raise NotAdmitted(FIELD, "too_many_members", f"an archive holds at most {MAX_MEMBERS} files")


def _check_directory(members: list[zipfile.ZipInfo], size: int) -> None:
    # First, because zipfile itself fails over a name of no characters when asked whether it is a folder's.
    if not all(member.filename for member in members):
        raise NotAdmitted(FIELD, "unsafe_member_name", "a file in the archive has no name")
    if all(member.is_dir() for member in members):
        raise NotAdmitted(FIELD, "empty_archive", "there is no file in the archive")
    names = set()
    for member in members:
        _check_member(member)
        # Compared as file systems of every kind would: two files on one name are two readings of one archive.
        names.add(unicodedata.normalize("NFC", member.filename).casefold())
    if len(names) < len(members):
        raise NotAdmitted(FIELD, "duplicate_member", "two files in the archive have the same name")
    unpacked = sum(member.file_size for member in members)
    if unpacked > min(MAX_UNPACKED, MAX_RATIO * size) or any(
        member.file_size > MAX_RATIO * max(member.compress_size, 1) for member in members
    ):
        raise NotAdmitted(FIELD, "unpacks_too_large", "the archive unpacks to too much", "too_large")


def _check_member(member: zipfile.ZipInfo) -> None:
    # zipfile cuts a name at its first NUL; the name as it was written is the one to be judged.
    for name in (member.orig_filename, member.filename):
        parts = re.split(r"[/\\]", name)
        unprintable = any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
        if not parts[0] or _DRIVE.match(name) or ".." in parts or unprintable:
            raise NotAdmitted(FIELD, "unsafe_member_name", "a file name in the archive leads out of it")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise NotAdmitted(FIELD, "linked_member", "a file in the archive is a link")
    if member.flag_bits & 0x1:
        raise NotAdmitted(FIELD, "encrypted_member", "a file in the archive is encrypted")
    if member.compress_type not in _METHODS:
        raise NotAdmitted(FIELD, "unsupported_method", "a file in the archive is packed by an unusual method")


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> int:
    """Read a member to its end, CRC included, and return its true size, at most `left` bytes.

    zipfile stops at the size that the directory declares, so one declared too small would hide the rest. Under a copy
    of the record that claims more than may be read, the data's own end is what stops it.
    """
    open_ended = copy.copy(member)
    open_ended.file_size = max(left, member.file_size) + 2 * CHUNK_BYTES
    true_size = 0
    with archive.open(open_ended) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            kind = None if true_size else filetype.guess(chunk)
            if kind is not None and kind.mime in _ARCHIVES:
                raise NotAdmitted(FIELD, "nested_archive", "there is an archive in the archive")
            true_size += len(chunk)
            if true_size > left:
                raise NotAdmitted(FIELD, "unpacks_too_large", "the archive unpacks to too much", "too_large")
    if true_size != member.file_size:
        raise NotAdmitted(FIELD, "false_size", "a file in the archive is not of the size declared")
    return true_size
