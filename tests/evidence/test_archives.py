import io
import os
import struct
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.admission import Admitted, admit
from evidence.errors import NotAdmitted
from evidence.formats import archives

Filing = Callable[[bytes, str], Admitted]
Refusing = Callable[[bytes, str], NotAdmitted]

CHAT = ("[2026-11-03 09:30:00] 小店: 明天发货\n" * 3).encode()
# Offsets within a record of the central directory and within a local header (APPNOTE.TXT 4.3.12 and 4.3.7).
CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            # Set again afterwards: the constructor turns separators and cuts at NUL.
            info.filename = name
            file.writestr(info, data)
    return out.getvalue()


def patched(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    at = data.index(signature) + offset
    return data[:at] + value + data[at + len(value) :]


def declaring(data: bytes, size: int) -> bytes:
    """Change the unpacked size that both headers of the first member declare."""
    declared = struct.pack("<I", size)
    return patched(patched(data, CENTRAL, 24, declared), LOCAL, 22, declared)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_chat_export_is_admitted_and_left_readable(filed: Filing, method: int) -> None:
    data = archive(
        ("_chat.txt", CHAT), ("媒体/", b""), ("媒体/photo.jpg", b"\xff\xd8\xff" + os.urandom(500)), method=method
    )
    one = filed(data, "WhatsApp Chat.zip")
    assert one.media_type == "application/zip"
    assert one.file.read() == data


def test_an_archive_with_no_file_is_refused(refused: Refusing) -> None:
    assert refused(archive(), "a.zip").code == "empty_archive"
    assert refused(archive(("folder/", b"")), "a.zip").code == "empty_archive"


@pytest.mark.parametrize(
    "name",
    ["../a.txt", "a/../../b", "..", "/etc/passwd", "\\a", "a\\..\\b", "C:\\a.txt", "c:a", "a\nb", "a\x00b", "a\x1b[0m"],
)
def test_a_member_whose_name_leads_out_is_refused(refused: Refusing, name: str) -> None:
    assert refused(archive(("_chat.txt", CHAT), (name, b"x")), "a.zip").code == "unsafe_member_name"


@pytest.mark.parametrize("pair", [("a.txt", "a.txt"), ("a.txt", "A.TXT"), ("é.txt", "e\u0301.txt")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(refused: Refusing, pair: tuple[str, str]) -> None:
    assert refused(archive((pair[0], CHAT), (pair[1], b"x")), "a.zip").code == "duplicate_member"


def test_a_link_is_refused(refused: Refusing) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    assert refused(out.getvalue(), "a.zip").code == "linked_member"


def test_an_encrypted_member_is_refused(refused: Refusing) -> None:
    data = patched(patched(archive(("a.txt", CHAT)), CENTRAL, 8, b"\x01"), LOCAL, 6, b"\x01")
    assert refused(data, "a.zip").code == "encrypted_member"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_unusual_method_is_refused(refused: Refusing, method: int) -> None:
    assert refused(archive(("a.txt", CHAT), method=method), "a.zip").code == "unsupported_method"


@pytest.mark.parametrize(
    "inner",
    [
        archive(("a.txt", CHAT)),
        b"Rar!\x1a\x07\x00" + bytes(100),
        b"7z\xbc\xaf\x27\x1c" + os.urandom(100),
        b"\x1f\x8b\x08" + os.urandom(100),
        b"BZh9" + os.urandom(100),
        b"\xfd7zXZ\x00" + os.urandom(100),
        b"x" * 257 + b"ustar" + os.urandom(600),
    ],
)
def test_an_archive_in_the_archive_is_refused_whatever_its_name(refused: Refusing, inner: bytes) -> None:
    assert refused(archive(("photo.jpg", inner), method=zipfile.ZIP_STORED), "a.zip").code == "nested_archive"


def test_a_thousand_members_are_taken_and_no_more(filed: Filing, refused: Refusing) -> None:
    names = [(f"{number}.txt", b"x") for number in range(1_001)]
    filed(archive(*names[:1_000]), "a.zip")
    assert refused(archive(*names), "a.zip").code == "too_many_members"


def test_a_bomb_is_refused_by_what_it_declares(refused: Refusing) -> None:
    error = refused(archive(("a.txt", bytes(20_000_000))), "a.zip")
    assert (error.code, error.status_hint) == ("unpacks_too_large", "too_large")


def test_the_total_is_bounded_over_all_members(refused: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 10_000)
    data = archive(*((f"{number}", os.urandom(4_000)) for number in range(3)))
    assert refused(data, "a.zip").code == "unpacks_too_large"


def test_a_bomb_that_declares_little_is_found_by_reading_it(refused: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1_000_000)
    assert refused(declaring(archive(("a.txt", bytes(5_000_000))), 1_000), "a.zip").code == "unpacks_too_large"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_declared_size_that_is_too_small_is_found_though_the_check_sum_fits_it(
    refused: Refusing, method: int
) -> None:
    shown, hidden = CHAT, b"and what the directory does not admit"
    data = declaring(archive(("a.txt", shown + hidden), method=method), len(shown))
    assert refused(data, "a.zip").code == "false_size"
    # With the check sum of the shown part, zipfile itself would read the archive without complaint.
    crc = struct.pack("<I", zipfile.crc32(shown))
    fitted = patched(patched(data, CENTRAL, 16, crc), LOCAL, 14, crc)
    with zipfile.ZipFile(io.BytesIO(fitted)) as file:
        assert file.testzip() is None
    assert refused(fitted, "a.zip").field == "file"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_declared_size_that_is_too_large_is_refused(refused: Refusing, method: int) -> None:
    data = declaring(archive(("a.txt", CHAT), method=method), len(CHAT) + 1)
    assert refused(data, "a.zip").code == "false_size"


def test_a_damaged_member_is_refused(refused: Refusing) -> None:
    data = archive(("a.txt", CHAT), method=zipfile.ZIP_STORED)
    at = data.index(CHAT)
    assert refused(data[:at] + b"X" + data[at + 1 :], "a.zip").code == "not_parsed"


def test_an_archive_cut_anywhere_is_refused(refused: Refusing) -> None:
    data = archive(("a.txt", CHAT), ("b.txt", CHAT))
    for cut in range(8, len(data), 7):
        assert refused(data[:cut], "a.zip").code == "not_parsed", cut
    assert refused(data[:-1], "a.zip").code == "not_parsed"


@settings(max_examples=200, deadline=None)
@given(st.data())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_damaged_archive_is_admitted_or_refused_and_never_fails_otherwise(data: st.DataObject) -> None:
    damaged = bytearray(archive(("a.txt", CHAT), ("b.bin", bytes(range(50)))))
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        admit(io.BytesIO(bytes(damaged)), filename="a.zip").close()
    except NotAdmitted as error:
        assert error.field == "file"


def test_a_member_without_a_name_is_refused() -> None:
    """Found by damaging archives at random: one byte makes a name's first character the NUL at which zipfile cuts."""
    spoilt = archive(("a.txt", CHAT)).replace(b"a.txt", b"\x00.txt")
    with pytest.raises(NotAdmitted) as refused:
        admit(io.BytesIO(spoilt), filename="a.zip")
    assert (refused.value.field, refused.value.code) == ("file", "unsafe_member_name")
