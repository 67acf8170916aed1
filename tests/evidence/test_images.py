import io
import random
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evidence.admission import Admitted, admit
from evidence.errors import NotAdmitted
from evidence.formats import images

Filing = Callable[[bytes, str], Admitted]
Refusing = Callable[[bytes, str], NotAdmitted]

NOISE = Image.frombytes("RGB", (61, 47), random.Random(1).randbytes(61 * 47 * 3))


def saved(form: str, image: Image.Image = NOISE, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def animated(form: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), (shade, 0, 0)) for shade in (10, 120, 250)]
    return saved(form, frames[0], save_all=True, append_images=frames[1:], duration=50)


WHOLE = {
    "jpg": saved("JPEG"),
    "progressive.jpg": saved("JPEG", progressive=True),
    "grey.jpg": saved("JPEG", NOISE.convert("L")),
    "png": saved("PNG"),
    "palette.png": saved("PNG", NOISE.convert("P")),
    "animated.png": animated("PNG"),
    "gif": saved("GIF", NOISE.convert("P")),
    "animated.gif": animated("GIF"),
    "webp": saved("WEBP"),
    "lossless.webp": saved("WEBP", lossless=True),
    "animated.webp": animated("WEBP"),
}
TYPE = {"jpg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_image_is_admitted_as_what_it_is(filed: Filing, name: str) -> None:
    assert filed(WHOLE[name], f"a.{name}").media_type == TYPE[name.rpartition(".")[2]]


@pytest.mark.parametrize("name", WHOLE)
def test_an_image_cut_anywhere_is_refused_even_by_its_last_byte(refused: Refusing, name: str) -> None:
    data = WHOLE[name]
    cuts = {*range(len(data) - 24, len(data)), *range(40, len(data), max(1, len(data) // 25))}
    for cut in cuts:
        assert refused(data[:cut], f"a.{name}").code in ("truncated", "not_parsed"), cut


@pytest.mark.parametrize("name", [name for name in WHOLE if not name.endswith("jpg")])
def test_bytes_after_the_end_are_refused(refused: Refusing, name: str) -> None:
    assert refused(WHOLE[name] + b"more", f"a.{name}").code == "trailing_bytes"


def test_what_a_phone_appends_to_its_jpeg_is_let_be(filed: Filing) -> None:
    assert filed(WHOLE["jpg"] + b"SEFT" + bytes(100), "a.jpg").media_type == "image/jpeg"


def test_the_end_of_the_thumbnail_in_a_jpeg_is_not_taken_for_its_own(filed: Filing, refused: Refusing) -> None:
    whole = WHOLE["jpg"]
    thumbnail = b"Exif\x00\x00" + WHOLE["grey.jpg"]
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail + whole[2:]
    filed(data, "a.jpg")
    assert refused(data[:-2], "a.jpg").code == "truncated"


@pytest.mark.parametrize("name", ["png", "animated.png"])
def test_a_png_with_one_altered_byte_of_data_is_refused(refused: Refusing, name: str) -> None:
    data = bytearray(WHOLE[name])
    data[data.index(b"IDAT") + 10] ^= 1
    assert refused(bytes(data), "a.png").code == "not_parsed"


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that unpacks to a picture of that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(10_000, 5_001), (10_000, 10_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_before_it_unpacks(refused: Refusing, width: int, height: int) -> None:
    error = refused(png_claiming(width, height), "a.png")
    assert (error.code, error.status_hint) == ("too_many_pixels", "too_large")


def test_an_animation_is_bounded_over_all_its_frames(refused: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS_OF_ALL_FRAMES", 1_000)
    assert refused(animated("GIF"), "a.gif").code == "too_many_pixels"


def test_an_animation_is_bounded_in_the_number_of_its_frames(
    refused: Refusing, filed: Filing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_FRAMES", 3)
    filed(animated("GIF"), "a.gif")
    monkeypatch.setattr(images, "MAX_FRAMES", 2)
    assert refused(animated("GIF"), "a.gif").code == "too_many_frames"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_a_damaged_image_is_admitted_or_refused_and_never_fails_otherwise(name: str, data: st.DataObject) -> None:
    damaged = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        admit(io.BytesIO(bytes(damaged)), filename="upload").close()
    except NotAdmitted as error:
        assert error.field == "file"
