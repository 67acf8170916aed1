import hashlib
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evidence.admission import MAX_BYTES, Admitted, admit
from evidence.errors import NotAdmitted
from evidence.store import open_store

Filing = Callable[[bytes, str], Admitted]
Refusing = Callable[[bytes, str], NotAdmitted]


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(out, "PNG")
    return out.getvalue()


def test_what_is_admitted_carries_type_size_digest_and_the_bytes_from_their_start(filed: Filing) -> None:
    data = "你好，明天发货\r\n".encode()
    one = filed(data, "聊天记录.txt")
    assert (one.filename, one.media_type, one.size) == ("聊天记录.txt", "text/plain", len(data))
    assert one.sha256 == hashlib.sha256(data).hexdigest()
    assert one.encoding == "utf-8"
    assert one.file.read() == data


def test_what_is_admitted_goes_into_the_store(filed: Filing) -> None:
    store = open_store("memory:///")
    store.put("k", filed(png(), "a.png").file)
    assert b"".join(store.get("k")) == png()


def test_closing_what_is_admitted_lets_the_file_go() -> None:
    with admit(io.BytesIO(b"text"), filename="a.txt") as one:
        assert not one.file.closed
    assert one.file.closed


class Endless(io.RawIOBase):
    """A stream that never ends and counts what was taken from it."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "the whole stream was asked for at once"
        self.taken += size
        return b"x" * size


def test_a_stream_without_end_is_cut_off_at_the_limit() -> None:
    stream: Any = Endless()
    with pytest.raises(NotAdmitted) as caught:
        admit(stream, filename="a.txt")
    assert (caught.value.field, caught.value.code, caught.value.status_hint) == ("file", "too_large", "too_large")
    assert stream.taken <= MAX_BYTES + 64 * 1024


def test_the_limit_is_inclusive() -> None:
    admit(io.BytesIO(b"x" * 100), filename="a.txt", max_bytes=100).close()
    with pytest.raises(NotAdmitted) as caught:
        admit(io.BytesIO(b"x" * 101), filename="a.txt", max_bytes=100)
    assert caught.value.code == "too_large"


def test_an_empty_file_is_refused(refused: Refusing) -> None:
    error = refused(b"", "a.txt")
    assert (error.field, error.code, error.status_hint) == ("file", "empty_file", "refused")


def test_an_error_of_the_stream_passes_through() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ConnectionResetError

    stream: Any = Broken()
    with pytest.raises(ConnectionResetError):
        admit(stream, filename="a.txt")


@pytest.mark.parametrize("name", ["a.txt", "聊天 (1).TXT", "no extension", ".txt", "a..b.txt", "字" * 83 + ".txt"])
def test_an_ordinary_name_is_kept_as_it_is(filed: Filing, name: str) -> None:
    assert filed(b"text", name).filename == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        ".",
        "..",
        "../a.txt",
        "/etc/passwd",
        "a/b.txt",
        "C:\\a.txt",
        "a\x00.txt",
        "a\n.txt",
        "a\x7f.txt",
        "a\x85.txt",
        "invoice\u202etxt.exe",
        "a\ud800.txt",
        "字" * 84 + ".txt",
        "x" * 252 + ".txt",
    ],
)
def test_a_name_with_a_path_a_control_character_or_too_many_bytes_is_refused(refused: Refusing, name: str) -> None:
    error = refused(b"text", name)
    assert (error.field, error.code) == ("filename", "bad_file_name")


@pytest.mark.parametrize("name", ["a.exe", "a.html", "a.svg", "a.tar.gz", "a.docx", "a.heic", "a.mov"])
def test_an_extension_that_is_not_taken_is_refused_whatever_the_content(refused: Refusing, name: str) -> None:
    error = refused(b"text", name)
    assert (error.code, error.status_hint) == ("unsupported_type", "unsupported_type")


@pytest.mark.parametrize(
    "data", [b"MZ\x90\x00" + bytes(64), b"\x7fELF" + bytes(64), b"BM" + bytes(64), b"II*\x00" + bytes(64)]
)
def test_a_content_that_is_not_taken_is_refused_without_a_name_to_go_by(refused: Refusing, data: bytes) -> None:
    error = refused(data, "upload")
    assert (error.code, error.status_hint) == ("unsupported_type", "unsupported_type")


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.jpeg", "a.gif", "a.webp", "a.pdf", "a.mp4", "a.txt", "a.csv", "a.json", "a.zip"]
)
def test_a_png_under_another_types_name_is_refused(refused: Refusing, name: str) -> None:
    error = refused(png(), name)
    assert (error.code, error.status_hint) == ("type_mismatch", "unsupported_type")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.pdf", "a.mp4", "a.zip"])
def test_a_text_under_a_binary_types_name_is_refused(refused: Refusing, name: str) -> None:
    assert refused("你好".encode(), name).code == "type_mismatch"


def test_without_an_extension_the_content_decides(filed: Filing) -> None:
    assert filed(png(), "photo").media_type == "image/png"
    assert filed(b"hello", "chat").media_type == "text/plain"


@pytest.mark.parametrize("text", ["BMW 的钥匙", "MZ 在吗", "ID3 hello", "%!PS is a joke", "FWS", "BZh"])
def test_a_text_that_begins_like_a_program_or_bitmap_is_still_a_text(filed: Filing, text: str) -> None:
    assert filed(text.encode(), "a.txt").media_type == "text/plain"


def test_a_program_named_as_a_text_is_refused(refused: Refusing) -> None:
    assert refused(b"MZ\x90\x00" + bytes(200), "a.txt").field == "file"


STARTS = [
    b"",
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"{",
    b"\xff\xfe",
]


@given(st.sampled_from(STARTS), st.binary(max_size=300), st.sampled_from(["a", "a.txt", "a.json", "a.csv"]))
def test_any_bytes_are_admitted_or_refused_and_never_fail_otherwise(start: bytes, rest: bytes, name: str) -> None:
    try:
        admit(io.BytesIO(start + rest), filename=name).close()
    except NotAdmitted as error:
        assert error.code
