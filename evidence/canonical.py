"""The one form in which a value is hashed or signed: RFC 8785, the JSON Canonicalization Scheme."""

import math
from contextlib import suppress
from typing import Any

import orjson
import rfc8785

from evidence.errors import NotCanonical

# RFC 8785 section 3.2.2.3 takes numbers as IEEE 754 doubles; beyond this neighbouring integers fall together.
MAX_INTEGER = 2**53 - 1


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 form of `value`, UTF-8.

    `value` is None, bool, int, float, str, list, tuple or dict with string keys, nested in any way.
    Raises NotCanonical, naming the place, for NaN and infinities, integers beyond 2^53-1, lone surrogates, keys that
    are not strings, any other type, and nesting too deep to walk.
    """
    try:
        if _is_plain(value):
            # Nested too deeply for orjson, or with a lone surrogate, it is for the other to write or to refuse.
            with suppress(orjson.JSONEncodeError):
                return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return rfc8785.dumps(value)
    except RecursionError as error:
        raise NotCanonical("it is nested too deeply, or contains itself") from error
    except ValueError as error:  # CanonicalizationError, and UnicodeEncodeError for a lone surrogate in a key
        raise NotCanonical(_reason(value, "$") or "it is not JSON") from error


def canonical_of_plain(value: Any) -> bytes:
    """Return the RFC 8785 form of a value of texts, nulls and small whole numbers, under keys in ASCII.

    That it is made of these the caller knows, which spares the walk over it. Raises NotCanonical for lone surrogates.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return canonical(value)


def _is_plain(value: Any) -> bool:
    """Tell whether orjson, which is many times faster, writes the very bytes that RFC 8785 asks for.

    It does for texts, integers, truth values and null. It sorts keys by code points, which for ASCII are the UTF-16
    units of section 3.2.3, and it writes floats and types of its own in ways that are not RFC 8785's.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is dict:
        return all(map(_is_plain_key, value)) and all(map(_is_plain, value.values()))
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))
    return -MAX_INTEGER <= value <= MAX_INTEGER if kind is int else isinstance(value, str)


def _is_plain_key(key: object) -> bool:
    return type(key) is str and key.isascii()


def _reason(value: Any, at: str) -> str | None:
    """Return why and where the canonicaliser refused, or None when this part of the value is sound.

    Names the position and never the content, which may be personal. Only walked after a refusal, to a depth that the
    canonicaliser itself has walked already.
    """
    if isinstance(value, str):
        return _reason_of_text(value, at)
    if isinstance(value, list | tuple):
        parts = (_reason(item, f"{at}[{index}]") for index, item in enumerate(value))
        return next((reason for reason in parts if reason), None)
    if isinstance(value, dict):
        return _reason_of_object(value, at)
    return _reason_of_scalar(value, at)


def _reason_of_scalar(value: Any, at: str) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if abs(value) <= MAX_INTEGER else f"{at} is an integer beyond 2^53-1"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{at} is not a finite number"
    return f"{at} is of the type {type(value).__name__}, which JSON does not have"


def _reason_of_text(value: str, at: str) -> str | None:
    lone = any("\ud800" <= character <= "\udfff" for character in value)
    return f"{at} contains a lone surrogate" if lone else None


def _reason_of_object(value: dict[Any, Any], at: str) -> str | None:
    for position, (key, item) in enumerate(value.items()):
        if not isinstance(key, str):
            return f"{at} has a key that is not a string"
        if _reason_of_text(key, at):
            return f"{at} has a key with a lone surrogate"
        # A key is named only when it looks like a field of ours; other keys may be someone's words.
        name = key if key.isascii() and key.isidentifier() and len(key) <= 40 else str(position)
        if reason := _reason(item, f"{at}.{name}"):
            return reason
    return None
