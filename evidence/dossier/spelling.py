"""The one spelling of the archive: the records of a zip (APPNOTE 6.3, 4.3.7, 4.3.12 and 4.3.16) with fixed fields.

Python's zipfile cannot write it: it sets external attributes on every member. Nor should it read it: it forgives bytes
before, between and behind the members, and two directories, which a verifier must not.
"""

import struct
from typing import Final

LOCAL: Final = b"PK\x03\x04"
DIRECTORY: Final = b"PK\x01\x02"
END: Final = b"PK\x05\x06"
DESCRIPTOR: Final = b"PK\x07\x08"

VERSION: Final = 20
DATE: Final = 33
"""1 January 1980, the first day that the format knows."""

MAX_MEMBERS: Final = 65_534
MAX_BYTES: Final = 2**32 - 1

LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")
DIRECTORY_RECORD: Final = struct.Struct("<4s6H3L5H2L")
END_RECORD: Final = struct.Struct("<4s4H2LH")

LOCAL_FIELDS: Final = (
    "signature",
    "version",
    "flags",
    "method",
    "time",
    "date",
    "crc",
    "compressed size",
    "size",
    "name length",
    "extra length",
)
DIRECTORY_FIELDS: Final = (
    "signature",
    "version made by",
    *LOCAL_FIELDS[1:],
    "comment length",
    "disk",
    "internal attributes",
    "external attributes",
    "offset",
)
END_FIELDS: Final = (
    "signature",
    "disk",
    "disk of the directory",
    "members on the disk",
    "members",
    "size of the directory",
    "offset of the directory",
    "comment length",
)

Fields = tuple[bytes | int, ...]


def local_fields(name: bytes, crc: int, size: int) -> Fields:
    """Return the fields of a member's local header, in the order of LOCAL_FIELDS. `size` in bytes."""
    return (LOCAL, VERSION, 0, 0, 0, DATE, crc, size, size, len(name), 0)


def directory_fields(name: bytes, crc: int, size: int, offset: int) -> Fields:
    """Return the fields of a member's directory record; `offset` is where its local header begins."""
    return (DIRECTORY, VERSION, VERSION, 0, 0, 0, DATE, crc, size, size, len(name), 0, 0, 0, 0, 0, offset)


def end_fields(members: int, size: int, offset: int) -> Fields:
    """Return the fields of the end record; `size` and `offset` (bytes) are those of the directory."""
    return (END, 0, 0, members, members, size, offset, 0)
