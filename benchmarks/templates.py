"""From recorded requests to straight-line programs that say the same statements with fresh values.

A value that is the same in every sample is a constant. One that varies is traced to where it came from: the request,
a row that an earlier statement gave back (or that plus a step: a version), a value made up earlier in the same request.
What comes from nowhere is made up anew: an id, a digest, the time, a text.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import orjson
from psycopg.types.json import Jsonb

from benchmarks.recording import Sample

_HEX_OR_WORD = 4  # A shorter text is not looked for inside others.


# --- where a value comes from --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Given:
    """A value of the turn, such as the case's id."""

    name: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a row that an earlier statement gave back; `step` is added to it."""

    statement: int
    row: int
    column: int
    name: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class Fresh:
    """The k-th value made up in this request: `uuid`, `digest` (32 bytes), `now` or `text`."""

    k: int
    what: str


Source = Given | Cell | Fresh


# --- what a value is -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    """The same in every request. Binary and Jsonb are taken off; the places they stood at say so by their type."""

    value: Any


@dataclass(frozen=True, slots=True)
class Taken:
    """What a source gives, as a value of this type; in a text it may stand between a head and a tail."""

    source: Source
    type: type
    head: str = ""
    tail: str = ""


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


class Unwritable(Exception):
    """A request cannot be said by pgbench."""


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
                self._known.append((Cell(number, row, column, name), cells))

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
        if not all(type(value) is int for value in values):
            return None
        for source, known in self._known:
            if isinstance(source, Cell) and all(type(value) is int for value in known):
                steps = {value - base for value, base in zip(values, known, strict=True)}
                if steps == {1}:
                    stepped = Cell(source.statement, source.row, source.column, source.name, step=1)
                    return Taken(stepped, int)
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


def _key(value: Any) -> Any:
    """What makes two values the same, whichever of their types they have: ids and times are also written as texts."""
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, list | dict):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return (type(value), value) if isinstance(value, bool | int) else value


def _invented(value: Any) -> str | None:
    if isinstance(value, datetime):
        return "now"
    if isinstance(value, bytes) and len(value) == 32:
        return "digest"
    if isinstance(value, uuid.UUID):
        return "uuid"
    if isinstance(value, str):
        try:
            uuid.UUID(value)
        except ValueError:
            return "text"
        return "uuid"
    return None


# --- as Python -----------------------------------------------------------------------------------------------------

_MAKES = {
    "uuid": "new_id()",
    "digest": "urandom(32)",
    "now": "datetime.now(UTC)",
    "text": "'D-' + token_hex(8)",
}


def python(made: Template) -> tuple[str, dict[str, Any]]:
    """Source of a function `answer(cursor, given…)` that makes the request and returns its answer; its constants.

    The source is what one would write by hand: no loop, no look-up, one statement after another.
    """
    constants: dict[str, Any] = {}
    lines = [f"def answer(cursor, {', '.join(made.given)}):"]
    lines += [f"    made_{fresh.k} = {_MAKES[fresh.what]}" for fresh in made.fresh]
    for number, call in enumerate(made.calls):
        constants[f"statement_{number}"] = call.text
        values = ", ".join(f"{name!r}: {_python(node, constants)}" for name, node in call.values)
        lines.append(f"    cursor.execute(statement_{number}, {{{values}}})")
        if call.columns:
            lines.append(f"    rows_{number} = cursor.fetchall()")
    lines.append(f"    return {_python(made.answer, constants, in_json=True)}")
    return "\n".join(lines) + "\n", constants


def _python(node: Node, constants: dict[str, Any], *, in_json: bool = False) -> str:
    if isinstance(node, Constant):
        if node.value is None or isinstance(node.value, bool | int | str):
            return repr(node.value)
        name = f"constant_{len(constants)}"
        constants[name] = node.value
        return name
    if isinstance(node, Listed):
        return f"[{', '.join(_python(item, constants, in_json=in_json) for item in node.items)}]"
    if isinstance(node, Named):
        items = (f"{name!r}: {_python(item, constants, in_json=in_json)}" for name, item in node.items)
        return f"{{{', '.join(items)}}}"
    if isinstance(node, Json):
        return f"Jsonb({_python(node.value, constants, in_json=True)})"
    return _python_taken(node, in_json)


def _python_taken(node: Taken, in_json: bool) -> str:
    source = node.source
    if isinstance(source, Given):
        found = source.name
    elif isinstance(source, Fresh):
        found = f"made_{source.k}"
    else:
        found = f"rows_{source.statement}[{source.row}][{source.column}]"
        found += f" + {source.step}" if source.step else ""
    if node.head or node.tail:
        return f"{node.head!r} + str({found}) + {node.tail!r}"
    if node.type is uuid.UUID and isinstance(source, Given):
        return f"UUID({found})"
    # orjson writes ids and times by itself.
    return f"str({found})" if node.type is str and isinstance(source, Fresh | Cell) and not in_json else found


# --- as a script of pgbench ----------------------------------------------------------------------------------------

_PLACE = re.compile(r"%\((\w+)\)s|%%")
_MAX_FRESH = 64  # values a turn may make up; numbers for them are counted on from turn to turn
_SQL_MAKES = {
    "uuid": "lpad(to_hex(:u::bigint + {k}), 32, '0')",
    "digest": "sha256(int8send(:u::bigint + {k}))",
    "now": "clock_timestamp()",
    "text": "('D-' || (:u::bigint + {k}))",
}


def pgbench_script(templates: Iterable[Template], sets: str, values: Mapping[str, str]) -> str:
    """A script whose every run is one turn: the requests' transactions one after another.

    Ids, digests and times that pgbench cannot make up stand as expressions where the API sends a value.
    Raises Unwritable where pgbench would have to take values from more rows than one.
    """
    made = list(templates)
    lines = ["\\set t :t + 1", "\\set u 1 + :t * 64 + :client_id * 1099511627776", sets.rstrip()]
    if sum(len(one.fresh) for one in made) > _MAX_FRESH:
        raise Unwritable("a turn makes up more values than are counted for it")
    first = 0
    for number, one in enumerate(made):
        lines += ["BEGIN;", *_sql_calls(one, _Writer(number, first, values)), "COMMIT;"]
        first += len(one.fresh)
    return "\n".join(lines) + "\n"


def _sql_calls(made: Template, writer: _Writer) -> Iterator[str]:
    needed = {source.statement for source in _sources(made) if isinstance(source, Cell)}
    for number, call in enumerate(made.calls):
        values = dict(call.values)

        def fill(match: re.Match[str], values: Mapping[str, Node] = values) -> str:
            return "%" if match[1] is None else writer.value(values[match[1]])

        if number in needed and call.rows != 1:
            raise Unwritable(f"{made.kind}: statement {number} gives back {call.rows} rows, of which values are taken")
        text = _PLACE.sub(fill, call.text).strip()
        yield f"{text} \\gset {writer.prefix(number)}" if number in needed else f"{text};"


def _sources(made: Template) -> Iterator[Source]:
    """Where the values of the statements come from; pgbench gives no answer, so what only that needs is left out."""

    def walk(node: Node) -> Iterator[Source]:
        if isinstance(node, Taken):
            yield node.source
        elif isinstance(node, Listed):
            for item in node.items:
                yield from walk(item)
        elif isinstance(node, Named):
            for _, item in node.items:
                yield from walk(item)
        elif isinstance(node, Json):
            yield from walk(node.value)

    for call in made.calls:
        for _, node in call.values:
            yield from walk(node)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes values as SQL for the `number`-th kind of request of a turn, whose made-up values count from `first`."""

    number: int
    first: int
    given: Mapping[str, str]

    def prefix(self, statement: int) -> str:
        return f"k{self.number}s{statement}_"

    def value(self, node: Node) -> str:
        if isinstance(node, Constant):
            return _literal(node.value)
        if isinstance(node, Json):
            return f"({self.json(node.value)})::jsonb"
        if isinstance(node, Listed):
            return f"ARRAY[{', '.join(self.value(item) for item in node.items)}]"
        if isinstance(node, Named):
            raise TypeError("an object stands in JSON only")
        return self._taken(node)

    def _taken(self, node: Taken) -> str:
        source = node.source
        if isinstance(source, Given):
            found = self.given[source.name]
        elif isinstance(source, Fresh):
            found = _SQL_MAKES[source.what].format(k=self.first + source.k)
        else:
            found = f":{self.prefix(source.statement)}{source.name}"
            found = f"({found}::bigint + {source.step})" if source.step else found
        if node.head or node.tail:
            return f"({_literal(node.head)} || {found} || {_literal(node.tail)})"
        # Where psycopg sends a text, it leaves the type to the server, and so does this.
        types = {uuid.UUID: "::uuid", datetime: "::timestamptz", bytes: "::bytea", int: "::bigint", bool: "::bool"}
        return found + types.get(node.type, "")

    def json(self, node: Node) -> str:
        """An expression for the text of a JSON value."""
        return " || ".join(self._json_parts(node)) or "''"

    def _json_parts(self, node: Node) -> list[str]:
        parts: list[str] = []
        plain = ""
        for piece in self._json_pieces(node):
            if isinstance(piece, Taken):
                parts += [_literal(plain), self._taken(piece)]
                plain = ""
            else:
                plain += piece
        return [*parts, _literal(plain)]

    def _json_pieces(self, node: Node) -> Iterator[str | Taken]:
        if isinstance(node, Constant):
            yield orjson.dumps(node.value).decode()
        elif isinstance(node, Listed):
            yield from _between("[", [self._json_pieces(item) for item in node.items], "]")
        elif isinstance(node, Named):
            named = [self._json_member(name, item) for name, item in node.items]
            yield from _between("{", named, "}")
        elif isinstance(node, Taken):
            quotes = "" if node.type is int else '"'
            yield quotes
            yield node
            yield quotes

    def _json_member(self, name: str, node: Node) -> Iterator[str | Taken]:
        # pgbench takes a colon with a letter right after it for a variable, in texts too.
        yield f"{orjson.dumps(name).decode()} : "
        yield from self._json_pieces(node)


def _between(start: str, parts: Sequence[Iterable[str | Taken]], end: str) -> Iterator[str | Taken]:
    yield start
    for number, part in enumerate(parts):
        if number:
            yield ", "
        yield from part
    yield end


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, uuid.UUID):
        return f"'{value}'::uuid"
    if isinstance(value, datetime):
        # Without a colon, for the same reason as in JSON.
        return f"to_timestamp({value.timestamp()!r})"
    text = str(value).replace("'", "''")
    if re.search(r":\w", text):
        raise Unwritable(f"pgbench would take the colon in {value!r} for a variable")
    return f"'{text}'"
