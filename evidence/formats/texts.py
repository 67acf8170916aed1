"""Plain text, CSV and JSON: decoded strictly, in one of three encodings, without control characters."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any, NoReturn

from evidence.errors import NotAdmitted
from evidence.formats import FIELD

CHUNK_BYTES = 64 * 1024
MAX_DEPTH = 64
MAX_VALUES = 1_000_000
"""Brackets and commas in a JSON file: what bounds the memory that parsing it takes."""

# C0 but tab, line feed and carriage return; DEL; C1; and lone surrogates, which some decoders let through.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

# A string is one token, so that brackets in it do not count; without its closing quote it swallows the rest, which
# keeps the scan linear, and the parser refuses it afterwards.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)


def check_text(file: IO[bytes]) -> str:
    """Return the encoding of a text file: utf-8, utf-8-sig, utf-16 or gb18030.

    UTF-16 needs its byte order mark; GB18030, which Chinese desktop programs still write, is tried after UTF-8.
    Raises NotAdmitted (not_text, control_character).
    """
    encoding = _encoding(file)
    for text in _decoded(file, encoding):
        if _FORBIDDEN.search(text):
            raise NotAdmitted(FIELD, "control_character", "the text contains a control character")
    return encoding


def check_json(file: IO[bytes], encoding: str) -> None:
    """Raise NotAdmitted unless the text, which has passed `check_text`, is one JSON value (RFC 8259).

    Codes: not_parsed, nested_too_deeply, too_many_values, duplicate_key. The text is held in memory: the library has
    no streaming parser, and admission bounds the file's size.
    """
    text = "".join(_decoded(file, encoding))
    _bound(text)
    try:
        json.loads(
            text,
            object_pairs_hook=_object,
            # Numbers are only parsed for their form: making integers of a million digits takes quadratic time.
            parse_int=len,
            parse_float=len,
            parse_constant=_no_constant,
        )
    except ValueError as error:
        raise NotAdmitted(FIELD, "not_parsed", "the file is not JSON") from error


def _encoding(file: IO[bytes]) -> str:
    file.seek(0)
    start = file.read(3)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates = ["utf-16"]
    elif start == codecs.BOM_UTF8:
        candidates = ["utf-8-sig"]
    else:
        candidates = ["utf-8", "gb18030"]
    for encoding in candidates:
        try:
            for _ in _decoded(file, encoding):
                pass
        except UnicodeDecodeError:
            continue
        return encoding
    raise NotAdmitted(FIELD, "not_text", "the file is not text in UTF-8, UTF-16 or GB18030")


def _decoded(file: IO[bytes], encoding: str) -> Iterator[str]:
    """Decode the file chunk by chunk. Raises UnicodeDecodeError, also for a character cut off at the end."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _bound(text: str) -> None:
    depth = values = 0
    for match in _JSON_TOKEN.finditer(text):
        sign = match[0][0]
        if sign in "]}":
            depth -= 1
        elif sign != '"':
            values += 1
            depth += sign in "[{"
        if depth > MAX_DEPTH:
            raise NotAdmitted(FIELD, "nested_too_deeply", f"JSON may be nested {MAX_DEPTH} deep")
        if values > MAX_VALUES:
            raise NotAdmitted(FIELD, "too_many_values", f"JSON may hold {MAX_VALUES:,} values", "too_large")


def _object(pairs: list[tuple[str, Any]]) -> None:
    """Check an object's keys and let go of it: nothing of the value is needed afterwards."""
    if len({key for key, _ in pairs}) < len(pairs):
        # Which of two equal keys counts differs from reader to reader, so the file would say two things.
        raise NotAdmitted(FIELD, "duplicate_key", "an object in the JSON has the same key twice")


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and infinities are not JSON")
