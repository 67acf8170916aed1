"""MP4: boxes that add up to the file (ISO/IEC 14496-12, section 4.2).

A walk over the boxes' lengths finds every cut; frames are not decoded. No library: what there is either wants a
native decoder (ffmpeg), which is the larger danger, or reads tags and forgives a truncated file.
"""

from typing import IO

from evidence.errors import NotAdmitted
from evidence.formats import FIELD

MAX_BOXES = 100_000


def check_mp4(file: IO[bytes], size: int) -> None:
    """Raise NotAdmitted (not_parsed, truncated) unless the top-level boxes, and those in moov, fill their room.

    A video has `ftyp` first, a `moov` with its tracks and `mdat` with its frames. `size` is the file's, in bytes.
    """
    kinds = _walk(file, 0, size)
    if not kinds or kinds[0][0] != b"ftyp":
        raise NotAdmitted(FIELD, "not_parsed", "the video does not begin with its type")
    names = {kind for kind, _, _ in kinds}
    if b"moov" not in names or b"mdat" not in names:
        # Recorders write moov last, so its absence is the common sign of a recording that was cut off.
        raise NotAdmitted(FIELD, "truncated", "the video lacks its index or its frames")
    for kind, start, end in kinds:
        if kind == b"moov" and not any(inner == b"trak" for inner, _, _ in _walk(file, start, end)):
            raise NotAdmitted(FIELD, "not_parsed", "the video has no track")


def _walk(file: IO[bytes], start: int, end: int) -> list[tuple[bytes, int, int]]:
    """Return type, start and end of the contents of each box between two positions, which they must fill exactly."""
    boxes: list[tuple[bytes, int, int]] = []
    while start < end:
        if len(boxes) == MAX_BOXES:
            raise NotAdmitted(FIELD, "not_parsed", f"the video has more than {MAX_BOXES} boxes")
        file.seek(start)
        header = file.read(min(16, end - start))
        length, kind, contents = int.from_bytes(header[:4]), header[4:8], start + 8
        if length == 1:  # the length follows in 64 bits
            length, contents = int.from_bytes(header[8:16]), start + 16
        elif length == 0:  # to the end of the file, allowed for the last box
            length = end - start
        if len(kind) < 4 or start + length > end:
            raise NotAdmitted(FIELD, "truncated", "the video breaks off within a box")
        if start + length < contents:
            raise NotAdmitted(FIELD, "not_parsed", "a box of the video is shorter than its own header")
        boxes.append((kind, contents, start + length))
        start += length
    return boxes
