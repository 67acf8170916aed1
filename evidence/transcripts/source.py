"""A chat export as importers read it: decoded text in lines, a JSON value, or the members of an archive.

The file was admitted before (`evidence.admission`): its encoding is known, its text holds no control characters, its
archive is sound and bounded. Positions are code points of the decoded text, lines count from 1.
"""

import codecs
import io
import json
import re
import zipfile
from collections.abc import Iterator
from functools import cached_property
from typing import IO, Any, NamedTuple

from evidence.errors import NotAdmitted
from evidence.formats import FIELD
from evidence.formats.texts import check_json, check_text

CHUNK_BYTES = 64 * 1024
HEAD_CHARACTERS = 16 * 1024
MAX_LINE = 1_000_000
"""Characters in one line of a text: what bounds the memory that reading line by line takes."""

_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")


# Longer ones Python refuses to read, or takes quadratic time for; no export counts in them.
_MAX_DIGITS = 40


class Line(NamedTuple):
    """One line. `start` to `end` is its span with the line ending, `text` is without it; `number` counts from 1."""

    number: int
    start: int
    end: int
    text: str


class Source:
    """An admitted file that may hold a conversation; whoever opened `file` closes it."""

    def __init__(self, file: IO[bytes], *, filename: str, media_type: str, encoding: str | None) -> None:
        self.file = file
        self.filename = filename
        self.media_type = media_type
        self.encoding = encoding

    @property
    def is_archive(self) -> bool:
        """Whether there are members to read."""
        return self.media_type == "application/zip"

    @cached_property
    def head(self) -> str:
        """The beginning of the text, at most some 16,000 characters; empty for what is no text."""
        found = ""
        for part in self._decoded():
            found += part
            if len(found) >= HEAD_CHARACTERS:
                break
        return found[:HEAD_CHARACTERS]

    @property
    def is_longer(self) -> bool:
        """Whether the text may go on behind its beginning (`head`)."""
        return len(self.head) >= HEAD_CHARACTERS

    @property
    def head_lines(self) -> list[str]:
        """The lines of the beginning, without their endings."""
        return _LINE_END.split(self.head.removesuffix("\r"))

    def text(self) -> str:
        """The whole text; empty for what is no text."""
        return "".join(self._decoded())

    @cached_property
    def json(self) -> Any | None:
        """The JSON object or list that the text is; None where it is something else.

        Raises NotAdmitted (nested_too_deeply, too_many_values, duplicate_key) as admission does.
        """
        if not self.head.lstrip().startswith(("{", "[")):
            return None
        try:
            check_json(self.file, str(self.encoding))
        except NotAdmitted as error:
            if error.code == "not_parsed":
                return None
            raise
        return json.loads(self.text(), parse_int=_whole)

    def lines(self) -> Iterator[Line]:
        """Every line in order; memory holds one chunk and one line.

        A line ends with LF, CRLF or CR and with nothing else: U+2028 stands inside a message.
        Raises NotAdmitted (line_too_long) for a line of more than MAX_LINE characters.
        """
        number, position, rest = 1, 0, ""
        for part in self._decoded():
            rest += part
            at = 0
            # A CR at the very end may be the first half of a CRLF, so it waits for the next part.
            for ending in _LINE_END.finditer(rest):
                length = ending.end() - at
                yield Line(number, position, position + length, rest[at : ending.start()])
                number, position, at = number + 1, position + length, ending.end()
            rest = rest[at:]
            if len(rest) > MAX_LINE:
                raise NotAdmitted(FIELD, "line_too_long", f"line {number} has more than {MAX_LINE:,} characters")
        if rest:
            yield Line(number, position, position + len(rest), rest.removesuffix("\r"))

    def members(self) -> list[str]:
        """The names of the files of the archive, sorted, folders left out; none for what is no archive."""
        if not self.is_archive:
            return []
        return sorted(one.filename for one in self._archive.infolist() if not one.is_dir())

    def member(self, name: str) -> "Source":
        """A member of the archive as a source of its own, without lines where it is no text.

        Raises KeyError where there is none of that name, NotAdmitted (control_character) for a text that admission
        would refuse as a file.
        """
        file = io.BytesIO(self._archive.read(name))
        try:
            encoding = check_text(file)
        except NotAdmitted as error:
            if error.code != "not_text":
                raise
            return Source(file, filename=name, media_type="application/octet-stream", encoding=None)
        return Source(file, filename=name, media_type="text/plain", encoding=encoding)

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a member in chunks. Raises KeyError where there is none of that name."""
        with self._archive.open(name) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        # Opened once: reading the directory anew for each of a thousand members would take seconds.
        return zipfile.ZipFile(self.file)

    def _decoded(self) -> Iterator[str]:
        if self.encoding is None:
            return
        decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        at = 0
        while chunk := self._chunk_at(at):
            at += len(chunk)
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)

    def _chunk_at(self, at: int) -> bytes:
        # Two readers may take turns on one file: a look at the beginning while the lines are being read.
        self.file.seek(at)
        return self.file.read(CHUNK_BYTES)


def _whole(digits: str) -> int | str:
    """A whole number; one that is too long to be one stays as it is written."""
    return int(digits) if len(digits) <= _MAX_DIGITS else digits
