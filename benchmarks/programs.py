"""Templates written out as straight-line programs, in Python for a bare process and as scripts of pgbench."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import urandom
from secrets import token_hex
from typing import Any

import orjson
from psycopg.types.json import Jsonb

from benchmarks.templates import Cell, Constant, Fresh, Given, Json, Listed, Named, Node, Source, Taken, Template
from mediation.db import new_id


class Unwritable(Exception):
    """A request cannot be said by pgbench."""


# --- as Python -----------------------------------------------------------------------------------------------------

#: What the source needs beside its constants.
NAMES = {
    "Jsonb": Jsonb,
    "UUID": uuid.UUID,
    "UTC": UTC,
    "datetime": datetime,
    "timedelta": timedelta,
    "new_id": new_id,
    "urandom": urandom,
    "token_hex": token_hex,
}
_MAKES = {
    "uuid": "new_id()",
    "digest": "urandom(32)",
    "hex": "urandom(32).hex()",
    "now": "datetime.now(UTC)",
    "text": "'D-' + token_hex(8)",
}


def python(made: Template, ends: Mapping[int, tuple[str, object]] | None = None) -> tuple[str, dict[str, Any]]:
    """Source of a function `answer(cursor, given…)` that makes the request and returns its answer; its constants.

    The source is what one would write by hand: no loop, no look-up, one statement after another. `ends` are
    conditions in which it stops and the answer it then gives, by the statement after which each is looked at.
    """
    constants: dict[str, Any] = {}
    lines = [f"def answer({', '.join(('cursor', *made.given))}):"]
    lines += [f"    made_{fresh.k} = {_MAKES[fresh.what]}" for fresh in made.fresh]
    for number, call in enumerate(made.calls):
        constants[f"statement_{number}"] = call.text
        values = ", ".join(f"{name!r}: {_python(node, constants)}" for name, node in call.values)
        lines.append(f"    cursor.execute(statement_{number}, {{{values}}})")
        if call.columns:
            lines.append(f"    rows_{number} = cursor.fetchall()")
        if ends and number in ends:
            condition, result = ends[number]
            lines.append(f"    if {condition}:\n        return {result!r}")
    lines.append(f"    return {_python(made.answer, constants, in_json=True)}")
    return "\n".join(lines) + "\n", constants


def compiled(source: str, constants: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of such a source."""
    space = {**NAMES, **constants}
    exec(compile(source, "<recorded>", "exec"), space)
    answer: Callable[..., Any] = space["answer"]
    return answer


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
        found += "".join(f"[{place!r}]" for place in source.path)
    if isinstance(node.step, timedelta):
        found = f"({found} + timedelta(microseconds={node.step // timedelta(microseconds=1)}))"
    elif node.step is not None:
        found = f"({found} + {node.step})"
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
    "hex": "encode(sha256(int8send(:u::bigint + {k})), 'hex')",
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
            if source.path:
                found = f"({found}::json #>> '{{{','.join(map(str, source.path))}}}')"
        if isinstance(node.step, timedelta):
            found = f"({found}::timestamptz + interval '{node.step // timedelta(microseconds=1)} microseconds')"
        elif node.step is not None:
            found = f"({found}::bigint + {node.step})"
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
    if value is None or isinstance(value, bool | int):
        return "NULL" if value is None else str(value).lower()
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, uuid.UUID):
        return f"'{value}'::uuid"
    if isinstance(value, datetime):
        # Without a colon, for the same reason as in JSON.
        return f"to_timestamp({value.timestamp()!r})"
    if isinstance(value, timedelta):
        return f"interval '{value // timedelta(microseconds=1)} microseconds'"
    text = str(value).replace("'", "''")
    if re.search(r":\w", text):
        raise Unwritable(f"pgbench would take the colon in {value!r} for a variable")
    return f"'{text}'"
