"""Writing a dossier. Members are streamed: a log of 100,000 messages is never one string."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from evidence.canonical import canonical
from evidence.dossier import names
from evidence.dossier.archive import Writer

VERSION: Final = 1
FORMAT: Final = "mediation-dossier"

_GATHERED = 1 << 16

Lines = Iterable[Mapping[str, Any]]
Chunks = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes in, as docs/dossier.md has it.

    `messages`, `custody` and `content` are asked by label for lines or bytes, each only where its exhibit has them;
    `pages` are names with what makes the text of the page, part by part; `head` is `{"seq", "hash"}`; `made_at` is an
    instant as `chain.instant` writes it. Everything is asked for once, in the order of the members' names.
    """

    case: Mapping[str, Any]
    docket: Lines
    seals: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]
    exhibits: Sequence[Mapping[str, Any]]
    messages: Callable[[str], Lines]
    custody: Callable[[str], Lines]
    content: Callable[[str], Iterable[bytes]]
    pages: Mapping[str, Callable[[], Iterable[str]]]
    keys: Mapping[str, Any]
    head: Mapping[str, Any]
    made_at: str
    made_for: str


def write(out: IO[bytes], contents: Contents, *, sign: Callable[[Mapping[str, Any]], str]) -> dict[str, Any]:
    """Write a dossier to `out`, which is empty and can be sought in; return its manifest.

    `sign` makes the compact JWS over the canonical form of a statement (`evidence.sealing.SealingKey.sign`).
    Raises NotCanonical where a value has no canonical form, ValueError where the format is not large enough, and
    whatever the callables raise; `out` then holds no dossier.
    """
    archive = Writer(out)
    files: dict[str, dict[str, Any]] = {}
    for name, chunks in sorted(_members(contents).items()):
        digest, size = archive.add(name, chunks())
        files[name] = {"sha256": digest, "size": size}
    manifest = {
        "v": VERSION,
        "format": FORMAT,
        "case": contents.case["id"],
        "reference": contents.case["reference"],
        "made_at": contents.made_at,
        "made_for": contents.made_for,
        "head": dict(contents.head),
        "files": files,
    }
    written = canonical(manifest)
    archive.add(names.MANIFEST, [written])
    archive.add(names.SIGNATURE, [sign(statement(manifest, hashlib.sha256(written).hexdigest())).encode("ascii")])
    archive.close()
    return manifest


def statement(manifest: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """Return what is signed of a manifest; `digest` is the SHA-256 (hex) of its bytes."""
    return {
        "v": VERSION,
        "statement": "dossier",
        "case": manifest["case"],
        "seq": manifest["head"]["seq"],
        "head": manifest["head"]["hash"],
        "manifest": digest,
        "at": manifest["made_at"],
    }


def _members(contents: Contents) -> dict[str, Chunks]:
    """Return every member but manifest and signature, with what makes its bytes."""
    members: dict[str, Chunks] = {
        names.CASE: _value(contents.case),
        names.DECISIONS: _value(contents.decisions),
        names.EXHIBITS: _value(contents.exhibits),
        names.KEYS: _value(contents.keys),
        names.SEALS: _value(contents.seals),
        names.DOCKET: lambda: _lines(contents.docket),
    }
    for exhibit in contents.exhibits:
        members |= _parts(contents, exhibit)
    return members | {name: _page(page) for name, page in contents.pages.items()}


def _parts(contents: Contents, exhibit: Mapping[str, Any]) -> dict[str, Chunks]:
    label = str(exhibit["label"])
    parts: dict[str, Chunks] = {}
    if exhibit["messages"] is not None:
        parts[names.messages_of(label)] = lambda: _lines(contents.messages(label))
    if exhibit["custody"] is not None:
        parts[names.custody_of(label)] = lambda: _lines(contents.custody(label))
    if exhibit["content"] is not None:
        parts[names.content_of(label)] = lambda: contents.content(label)
    return parts


def _value(value: Any) -> Chunks:
    return lambda: [canonical(value)]


def _page(page: Callable[[], Iterable[str]]) -> Chunks:
    return lambda: (part.encode() for part in page())


def _lines(lines: Lines) -> Iterator[bytes]:
    """Yield lines joined into chunks, so that files and digests are not called for each of them."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        written = canonical(line)
        gathered += (written, b"\n")
        size += len(written) + 1
        if size >= _GATHERED:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)
