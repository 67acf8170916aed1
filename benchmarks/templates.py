"""From recorded requests to templates: the same statements, and where each of their values comes from.

A value that is the same in every sample is a constant. One that varies is traced to where it came from: the request,
a row that an earlier statement gave back, a value made up earlier in the same request, or one of these plus a step: a
version, a date that follows. What comes from nowhere is made up anew: an id, a digest, the time, a text.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import orjson
from psycopg.types.json import Jsonb

from benchmarks.recording import Sample

_HEX_OR_WORD = 4  # A shorter text is not looked for inside others.
_HEX = re.compile(r"[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


# --- where a value comes from --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Given:
    """A value of the turn, such as the case's id."""

    name: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a row that an earlier statement gave back; `path` leads on into one that holds JSON."""

    statement: int
    row: int
    column: int
    name: str
    path: tuple[int | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fresh:
    """The k-th value made up in this request: `uuid`, `digest` (32 bytes), `hex` (of 32 bytes), `now` or `text`."""

    k: int
    what: str


Source = Given | Cell | Fresh
Step = int | timedelta


# --- what a value is -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    """The same in every request. Binary and Jsonb are taken off; the places they stood at say so by their type."""

    value: Any


@dataclass(frozen=True, slots=True)
class Taken:
    """What a source gives, as a value of this type. A step may be added to it; in a text it may stand between a head
    and a tail."""

    source: Source
    type: type
    head: str = ""
    tail: str = ""
    step: Step | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of values."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """An object of values by name."""

    items: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Json:
    """A value that goes to the database as jsonb."""

    value: Node


Node = Constant | Taken | Listed | Named | Json


@dataclass(frozen=True, slots=True)
class Call:
    """One statement and what it is given. `columns` are those of its rows (none if it gives none back), `rows` how many
    there were at most."""

    text: str
    values: tuple[tuple[str, Node], ...]
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of request: the turn's values by name, its statements, what it makes up, and its answer."""

    kind: str
    given: tuple[str, ...]
    calls: tuple[Call, ...]
    fresh: tuple[Fresh, ...]
    answer: Node


class Untraceable(Exception):
    """A value of a request varies, and nothing says where it comes from."""


def template(kind: str, samples: Sequence[Sample]) -> Template:
    """The template of one kind of request. Raises Untraceable, or ValueError where the samples differ in kind."""
    texts = {tuple(statement.text for statement in sample.statements) for sample in samples}
    if len(texts) != 1:
        raise ValueError(f"{kind}: the samples do not say the same statements, so there is nothing to compare with")
    tracer = _Tracer(samples)
    calls = []
    for number, statement in enumerate(samples[0].statements):
        said = [sample.statements[number] for sample in samples]
        values = tuple(
            (name, tracer.node([one.values[name] for one in said], f"{kind}, statement {number}, {name}"))
            for name in statement.values
        )
        calls.append(Call(statement.text, values, statement.columns, max(len(one.rows) for one in said)))
        tracer.learn_rows(number, said)
    answer = tracer.node([sample.answer for sample in samples], f"{kind}, answer", may_invent=False)
    return Template(kind, tuple(samples[0].values), tuple(calls), tuple(tracer.fresh), answer)


class _Tracer:
    """Knows every value seen so far in each sample, and where it stood."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._known: list[tuple[Source, list[Any]]] = [
            (Given(name), [sample.values[name] for sample in samples]) for name in samples[0].values
        ]
        self.fresh: list[Fresh] = []

    def learn_rows(self, number: int, said: Sequence[Any]) -> None:
        """Remember the cells of what a statement gave back."""
        for row in range(min(len(one.rows) for one in said)):
            for column, name in enumerate(said[0].columns):
                cells = [_plain(one.rows[row][column]) for one in said]
                self._learn(Cell(number, row, column, name), cells)

    def _learn(self, cell: Cell, values: list[Any]) -> None:
        """Remember a value of each sample, and whatever stands in it at the same place in all of them."""
        self._known.append((cell, values))
        places: Iterable[int | str] = ()
        if all(isinstance(value, list) for value in values):
            places = range(min(len(value) for value in values))
        elif all(isinstance(value, dict) for value in values):
            places = [name for name in values[0] if all(name in value for value in values)]
        for place in places:
            self._learn(replace(cell, path=(*cell.path, place)), [value[place] for value in values])

    def node(self, values: Sequence[Any], where: str, *, may_invent: bool = True) -> Node:
        """What these values, one of each sample, have in common."""
        if all(isinstance(value, Jsonb) for value in values):
            return Json(self.node([value.obj for value in values], where, may_invent=may_invent))
        plain = [_plain(value) for value in values]
        if isinstance(plain[0], list) and len({len(value) for value in plain}) == 1:
            parts = enumerate(zip(*plain, strict=True))
            return Listed(tuple(self.node(part, f"{where}[{k}]", may_invent=may_invent) for k, part in parts))
        if isinstance(plain[0], dict) and len({tuple(value) for value in plain}) == 1:
            names = plain[0]
            parts_of = {name: [value[name] for value in plain] for name in names}
            return Named(
                tuple((name, self.node(parts_of[name], f"{where}.{name}", may_invent=may_invent)) for name in names)
            )
        return self._leaf(plain, where, may_invent)

    def _leaf(self, values: Sequence[Any], where: str, may_invent: bool) -> Node:
        if len({_key(value) for value in values}) == 1:
            return Constant(values[0])
        found = self._same(values) or self._stepped(values) or self._inside(values)
        if found is not None:
            return found
        what = _invented(values[0]) if may_invent else None
        if what is None:
            raise Untraceable(f"{where}: nothing says where {values[0]!r} comes from")
        made = Fresh(len(self.fresh), what)
        self.fresh.append(made)
        self._known.append((made, list(values)))
        return Taken(made, type(values[0]))

    def _same(self, values: Sequence[Any]) -> Node | None:
        keys = [_key(value) for value in values]
        for source, known in self._known:
            if [_key(value) for value in known] == keys:
                return Taken(source, type(values[0]))
        return None

    def _stepped(self, values: Sequence[Any]) -> Node | None:
        """A number that counts on by one, or a date that follows another by always the same time."""
        read = [_instant(value) or value for value in values]
        if not (all(type(value) is int for value in read) or all(isinstance(value, datetime) for value in read)):
            return None
        for source, known in self._known:
            bases = [_instant(value) or value for value in known]
            if all(type(base) is type(value) for base, value in zip(bases, read, strict=True)):
                steps = {value - base for value, base in zip(read, bases, strict=True)}
                step = steps.pop()
                if not steps and (step == 1 or isinstance(step, timedelta)):
                    return Taken(source, type(values[0]), step=step)
        return None

    def _inside(self, values: Sequence[Any]) -> Node | None:
        if not all(isinstance(value, str) for value in values):
            return None
        for source, known in self._known:
            parts = [str(value) for value in known]
            if all(len(part) >= _HEX_OR_WORD and part in value for value, part in zip(values, parts, strict=True)):
                around = {value.partition(part)[::2] for value, part in zip(values, parts, strict=True)}
                if len(around) == 1:
                    head, tail = around.pop()
                    return Taken(source, str, head, tail)
        return None


def _plain(value: Any) -> Any:
    """A value without what psycopg wraps it in."""
    if isinstance(value, Jsonb):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    found = getattr(value, "obj", value)  # psycopg.Binary
    return bytes(found) if isinstance(found, bytearray | memoryview) else found


def _instant(value: Any) -> datetime | None:
    """The time that a value is, or that its text says."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        return datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else None


def _key(value: Any) -> Any:
    """What makes two values the same, whichever of their types they have: ids and times are also written as texts."""
    if isinstance(value, uuid.UUID):
        return str(value)
    moment = _instant(value)
    if moment is not None:
        return moment.astimezone(UTC)
    if isinstance(value, list | dict):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return (type(value), value) if isinstance(value, bool | int) else value


def _invented(value: Any) -> str | None:
    if isinstance(value, str):
        if _HEX.fullmatch(value):
            return "hex"
        return "uuid" if _UUID.fullmatch(value) else "text"
    if isinstance(value, bytes):
        return "digest" if len(value) == 32 else None
    if isinstance(value, datetime):
        return "now"
    return "uuid" if isinstance(value, uuid.UUID) else None
