"""Images: JPEG, PNG, GIF and WebP that parse from their first byte to their last.

Pillow decodes every pixel of every frame, but stops reading when it has them: a file cut within its last bytes would
pass. So the containers' own ends are looked for as well, each a short walk over lengths that no library offers alone.
"""

import mmap
import re
from collections.abc import Callable
from typing import IO

from PIL import Image

from evidence.errors import NotAdmitted
from evidence.formats import FIELD

MAX_PIXELS = 50_000_000
"""In one frame; decoded it takes 3 or 4 bytes each."""
MAX_PIXELS_OF_ALL_FRAMES = 200_000_000
MAX_FRAMES = 1_000

# In entropy-coded data 0xFF is followed by 0x00 (stuffing) or a restart marker; anything else is the next marker
# (ITU-T T.81, B.1.1.2). 0xFF may be repeated as fill before it.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def check_image(file: IO[bytes], media_type: str) -> None:
    """Raise NotAdmitted unless the file is a whole image of that type, small enough to be shown.

    Codes: not_parsed, truncated, trailing_bytes, too_many_pixels, too_many_frames.
    """
    form, find_end = _FORMS[media_type]
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            end = find_end(data)
        except IndexError as error:
            raise NotAdmitted(FIELD, "truncated", "the image breaks off before its end") from error
        # Phones append a video or a second picture of their own to a JPEG; nothing may follow the other formats.
        if end < len(data) and media_type != "image/jpeg":
            raise NotAdmitted(FIELD, "trailing_bytes", "there are bytes after the end of the image")
    try:
        file.seek(0)
        with Image.open(file, formats=[form]) as image:
            image.verify()
        file.seek(0)
        with Image.open(file, formats=[form]) as image:
            _decode(image)
    except NotAdmitted:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    # Pillow's decoders raise whatever a hostile file makes them stumble over (OSError, SyntaxError, ValueError,
    # struct.error, EOFError and more); here all of them mean that the file cannot be read.
    except Exception as error:
        raise NotAdmitted(FIELD, "not_parsed", "the image cannot be decoded") from error


def _decode(image: Image.Image) -> None:
    """Decode frame by frame until there is none: to ask for their number first would walk a million of them."""
    # What Pillow takes for further frames of a JPEG are the pictures that phones append to it.
    frames = 1 if image.format in ("JPEG", "MPO") else MAX_FRAMES + 1
    total = 0
    for frame in range(frames):
        try:
            image.seek(frame)
        except EOFError:
            return
        if frame == MAX_FRAMES:
            raise NotAdmitted(FIELD, "too_many_frames", f"an animation has at most {MAX_FRAMES} frames", "too_large")
        # Asked again for each frame: a GIF's frame may be larger than the first.
        pixels = image.width * image.height
        total += pixels
        if pixels > MAX_PIXELS or total > MAX_PIXELS_OF_ALL_FRAMES:
            raise _too_many_pixels()
        image.load()


def _too_many_pixels() -> NotAdmitted:
    detail = f"an image has at most {MAX_PIXELS:,} pixels, an animation {MAX_PIXELS_OF_ALL_FRAMES:,}"
    return NotAdmitted(FIELD, "too_many_pixels", detail, "too_large")


def _jpeg_end(data: mmap.mmap) -> int:
    """Return the position after the EOI marker. Raises IndexError if there is none (ITU-T T.81, Annex B)."""
    at = 2
    while True:
        while data[at] == 0xFF and data[at + 1] == 0xFF:
            at += 1
        if data[at] != 0xFF:
            raise NotAdmitted(FIELD, "not_parsed", "the JPEG's segments do not follow one another")
        marker = data[at + 1]
        if marker == 0xD9:
            return at + 2
        at += 2
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        length = data[at] << 8 | data[at + 1]
        if length < 2:
            raise NotAdmitted(FIELD, "not_parsed", "a JPEG segment has no length")
        at += length
        if marker == 0xDA:
            match = _JPEG_MARKER.search(data, at)
            if match is None:
                raise IndexError("no marker follows the scan")
            at = match.start()


def _png_end(data: mmap.mmap) -> int:
    """Return the position after the IEND chunk (PNG specification, section 5.3)."""
    at = 8
    while True:
        kind = data[at + 4 : at + 8]
        length = int.from_bytes(data[at : at + 4])
        at += 12 + length
        if at > len(data) or len(kind) < 4:
            raise IndexError("a chunk reaches beyond the file")
        if kind == b"IEND":
            return at


def _gif_end(data: mmap.mmap) -> int:
    """Return the position after the trailer (GIF89a specification, sections 17 to 27)."""
    at = 13 + _colour_table(data[10])
    while True:
        block = data[at]
        if block == 0x3B:
            return at + 1
        if block == 0x21:
            at += 2
        elif block == 0x2C:
            at += 10 + _colour_table(data[at + 9]) + 1
        else:
            raise NotAdmitted(FIELD, "not_parsed", "the GIF's blocks do not follow one another")
        while data[at]:
            at += 1 + data[at]
        at += 1


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp_end(data: mmap.mmap) -> int:
    """Return the position after the RIFF container (RFC 9649 section 2.4)."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise IndexError("the container reaches beyond the file")
    return end


_FORMS: dict[str, tuple[str, Callable[[mmap.mmap], int]]] = {
    "image/jpeg": ("JPEG", _jpeg_end),
    "image/png": ("PNG", _png_end),
    "image/gif": ("GIF", _gif_end),
    "image/webp": ("WEBP", _webp_end),
}
