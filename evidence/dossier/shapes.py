"""What shape a value has that somebody else wrote, told without trusting it and without repeating it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evidence.chain import is_hex_digest
from evidence.dossier.names import plain

INSTANT_LENGTH = 27

Misfit = tuple[str, str]
"""Where (dots between levels, empty for the value itself) and what."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A value that `holds` accepts; `name` says which those are."""

    name: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with these members; with others too only where it is `open`."""

    members: Mapping[str, "Shape"]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Each:
    """A list, every item of one shape."""

    item: "Shape"


@dataclass(frozen=True, slots=True)
class Maybe:
    """A value of a shape, or null."""

    shape: "Shape"


Shape = Kind | Fields | Each | Maybe


def is_instant(value: object) -> bool:
    """Tell whether a value is a real time as `chain.instant` writes it, with six digits of a second and Z."""
    if type(value) is not str or len(value) != INSTANT_LENGTH or value[-1] != "Z":
        return False
    try:
        return datetime.fromisoformat(value[:-1]).isoformat(timespec="microseconds") == value[:-1]
    except ValueError:
        return False


def is_number(value: object) -> bool:
    """Tell whether a value is a whole number from 0; a truth value is not one, though Python takes it for one."""
    return type(value) is int and value >= 0


def exactly(value: str | int) -> Kind:
    """The shape of one value and no other."""
    return Kind(f"must be {value}", lambda given: type(given) is type(value) and given == value)


ANY = Kind("", lambda value: True)
TEXT = Kind("must be a text", lambda value: type(value) is str)
FLAG = Kind("must be true or false", lambda value: type(value) is bool)
NUMBER = Kind("must be a whole number from 0", is_number)
POSITIVE = Kind("must be a whole number from 1", lambda value: is_number(value) and value > 0)
DIGEST = Kind("must be 64 lowercase hex digits", is_hex_digest)
INSTANT = Kind("must be an instant of UTC with six digits of a second", is_instant)
LIST = Kind("must be a list", lambda value: type(value) is list)
OBJECT = Kind("must be an object", lambda value: type(value) is dict)


def misfits(value: Any, shape: Shape, at: str = "") -> Iterator[Misfit]:
    """Yield every place where a value does not have the shape."""
    match shape:
        case Kind(name, holds):
            if not holds(value):
                yield at, name
        case Maybe(inner):
            if value is not None:
                yield from misfits(value, inner, at)
        case Each(item):
            if type(value) is not list:
                yield at, LIST.name
                return
            for n, one in enumerate(value):
                yield from misfits(one, item, f"{at}.{n}" if at else str(n))
        case Fields():
            yield from _members(value, shape, at)


def fits(value: Any, shape: Shape) -> bool:
    """Tell whether a value has the shape."""
    return next(misfits(value, shape), None) is None


def _members(value: Any, shape: Fields, at: str) -> Iterator[Misfit]:
    if type(value) is not dict:
        yield at, OBJECT.name
        return
    for name, inner in shape.members.items():
        if name not in value:
            yield at, f"lacks {name}"
        else:
            yield from misfits(value[name], inner, f"{at}.{name}" if at else name)
    extra = [] if shape.open else [name for name in value if name not in shape.members]
    if extra:
        named = ", ".join(name for name in map(plain, extra[:5]) if name)
        yield at, f"has members that do not belong there{f': {named}' if named else ''}"
