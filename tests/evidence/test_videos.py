import struct
from collections.abc import Callable

import pytest

from evidence.admission import Admitted
from evidence.errors import NotAdmitted
from evidence.formats import videos

Filing = Callable[[bytes, str], Admitted]
Refusing = Callable[[bytes, str], NotAdmitted]


def box(kind: bytes, contents: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(contents), kind) + contents


def long_box(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(contents)) + contents


def last_box(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I4s", 0, kind) + contents


FTYP = box(b"ftyp", b"mp42" + bytes(4) + b"mp42isom")
MOOV = box(b"moov", box(b"mvhd", bytes(100)) + box(b"trak", bytes(40)))
MDAT = box(b"mdat", bytes(500))


@pytest.mark.parametrize(
    "data",
    [
        FTYP + MOOV + MDAT,
        FTYP + MDAT + MOOV,
        FTYP + box(b"free") + MOOV + long_box(b"mdat", bytes(500)),
        FTYP + MOOV + last_box(b"mdat", bytes(500)),
        FTYP + MOOV + box(b"moof", bytes(20)) + MDAT + box(b"moof", bytes(20)) + MDAT,
    ],
)
def test_a_video_whose_boxes_add_up_is_admitted(filed: Filing, data: bytes) -> None:
    assert filed(data, "a.mp4").media_type == "video/mp4"


@pytest.mark.parametrize("data", [FTYP + MOOV + MDAT, FTYP + MDAT + MOOV])
def test_a_video_cut_anywhere_is_refused(refused: Refusing, data: bytes) -> None:
    for cut in range(len(FTYP), len(data)):
        assert refused(data[:cut], "a.mp4").code == "truncated", cut


@pytest.mark.parametrize("tail", [b"x", bytes(7), b"junk junk"])
def test_bytes_that_are_no_box_at_the_end_are_refused(refused: Refusing, tail: bytes) -> None:
    assert refused(FTYP + MOOV + MDAT + tail, "a.mp4").code in ("truncated", "not_parsed")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (FTYP + MDAT, "truncated"),
        (FTYP + MOOV, "truncated"),
        (FTYP + box(b"moov", box(b"mvhd", bytes(100))) + MDAT, "not_parsed"),
        (FTYP + box(b"moov", bytes(3)) + MDAT, "truncated"),
        (FTYP + box(b"moov", struct.pack(">I4s", 900, b"trak")) + MDAT, "truncated"),
        (FTYP + MOOV + struct.pack(">I4s", 7, b"mdat"), "not_parsed"),
        (FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 15), "not_parsed"),
        (FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 2**63), "truncated"),
    ],
)
def test_a_video_that_lacks_a_part_or_lies_about_its_lengths_is_refused(
    refused: Refusing, data: bytes, code: str
) -> None:
    assert refused(data, "a.mp4").code == code


def test_the_number_of_boxes_is_bounded(refused: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "MAX_BOXES", 100)
    assert refused(FTYP + box(b"free") * 101, "a.mp4").code == "not_parsed"


def test_a_quicktime_file_under_the_name_of_mp4_is_refused(refused: Refusing) -> None:
    data = box(b"ftyp", b"qt  " + bytes(4) + b"qt  ") + MOOV + MDAT
    assert refused(data, "a.mp4").code == "type_mismatch"
