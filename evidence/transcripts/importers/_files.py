"""What a file is by its name, where the export does not say."""

from pathlib import PurePosixPath

#: A table of our own: that of the standard library is that of the machine, and what is sealed may not depend on it.
_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "bmp": "image/bmp",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "3gp": "video/3gpp",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "txt": "text/plain",
    "csv": "text/csv",
}


def media_type_of(name: str) -> str | None:
    """The media type that a file's extension claims; None for one that is not in the table."""
    return _TYPES.get(PurePosixPath(name).suffix.removeprefix(".").lower())
