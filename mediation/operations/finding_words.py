"""Where words stand in a case: what a redaction of them has to reach. Reads and never writes.

Words are compared after NFKC, case folding and collapsing of white space, so that a full-width digit or another
spacing hides nothing.
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from evidence.errors import BlobMissing, NotAdmitted
from evidence.formats.texts import check_text
from evidence.store import BlobStore
from evidence.transcripts.source import Source
from mediation.models import Case, CustodyOpening, DocketOpening, Exhibit, ExhibitMessageOpening, TrackingScan
from mediation.operations.carrying import ADDRESS
from mediation.sight import OF_STAFF

WHOLE_BELOW = 6
"""Characters below which words are only found as a whole text: "好的" stands in half of all messages."""

#: Openings that a step stands on, or goods are on their way by: they are searched, and what is found is told, but a
#: redaction of words does not erase them.
STANDING = frozenset({"actor", "facts", "deadlines", ADDRESS, "parcel"}) | OF_STAFF
_SPACE = re.compile(r"\s+")
_TEXTS = frozenset({"text/plain", "text/csv", "application/json"})
_ARCHIVE = "application/zip"


@dataclass(slots=True)
class Places:
    """Where words were found: messages by exhibit, docket openings, exhibits by what of them, what cannot be erased.

    `senders` are messages whose sender goes as well; `attached` are the names of files that hung on what is erased.
    """

    messages: dict[uuid.UUID, set[int]] = field(default_factory=dict)
    openings: set[tuple[int, int]] = field(default_factory=set)
    names: set[uuid.UUID] = field(default_factory=set)
    blobs: set[uuid.UUID] = field(default_factory=set)
    senders: dict[uuid.UUID, set[int]] = field(default_factory=dict)
    attached: set[str] = field(default_factory=set)
    not_searched: set[str] = field(default_factory=set)
    remains: set[str] = field(default_factory=set)

    def add_message(self, exhibit: uuid.UUID, seq: int) -> None:
        """Note a message; with one of its messages an exhibit's bytes go too, for they hold it."""
        self.messages.setdefault(exhibit, set()).add(seq)
        self.blobs.add(exhibit)

    def add_whole(self, exhibit: uuid.UUID) -> None:
        """Note an exhibit's bytes and what it is called."""
        self.blobs.add(exhibit)
        self.names.add(exhibit)


def plain(text: str) -> str:
    """A text as it is compared."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


class Words:
    """The words that are looked for."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._whole = frozenset({plain(text) for text in texts} - {""})
        self._inside = tuple(sorted(text for text in self._whole if len(text) >= WHOLE_BELOW))

    def __bool__(self) -> bool:
        return bool(self._whole)

    def in_text(self, text: str | None) -> bool:
        """Whether a text is, or holds, one of them."""
        if not text:
            return False
        compared = plain(text)
        return compared in self._whole or any(word in compared for word in self._inside)

    def in_value(self, value: Any) -> bool:
        """Whether any text in a JSON value does; what its members are called is not looked at."""
        return any(self.in_text(text) for text in texts_of(value))

    def in_file(self, text: str) -> bool:
        """Whether a file's text holds them, or has one of them as a line: as it stands or, in JSON and CSV, as read."""
        # A quotation mark stands doubled in a CSV file.
        if any(self.in_text(form) for form in {text, text.replace('""', '"')}):
            return True
        lines = text.splitlines()
        if any(plain(line) in self._whole for line in lines):
            return True
        return any(self.in_value(value) for value in _read([text, *lines]))


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from texts_of(inner)


def _read(parts: Iterable[str]) -> Iterator[Any]:
    """What those parts of a file that are JSON say, the names of their members as texts of their own."""
    for part in parts:
        if part.lstrip().startswith(("{", "[")):
            try:
                # As pairs: the name of a member may hold the words as well.
                yield json.loads(part, object_pairs_hook=list)
            except (ValueError, RecursionError):
                # It only looks like JSON, or goes on in the next line.
                continue


def find(session: Session, blobs: BlobStore, case: Case, words: Words, places: Places) -> None:
    """Add to `places` wherever in the case the words stand."""
    _in_messages(session, case, words, places)
    _in_openings(session, case, words, places)
    for exhibit in exhibits_of(session, case):
        if words.in_text(exhibit.title) or words.in_text(exhibit.filename):
            places.names.add(exhibit.id)
        if exhibit.blob_key is not None and exhibit.id not in places.blobs:
            read, whole = contents(blobs, exhibit)
            if any(map(words.in_file, read)):
                places.blobs.add(exhibit.id)
            elif not whole:
                places.not_searched.add(exhibit.label)
    _what_remains(session, case, words, places)


def exhibits_of(session: Session, case: Case) -> Sequence[Exhibit]:
    """The case's exhibits, in the order of filing."""
    return session.scalars(select(Exhibit).where(Exhibit.case_id == case.id).order_by(Exhibit.seq)).all()


def contents(blobs: BlobStore, exhibit: Exhibit) -> tuple[list[str], bool]:
    """The texts that an exhibit's bytes are, those of an archive's members; and whether that is all there is in it."""
    if exhibit.media_type not in _TEXTS | {_ARCHIVE}:
        return [], False
    try:
        # In memory, which an exhibit's size bounds: a copy on the disk would be one more place to erase.
        file = io.BytesIO(b"".join(blobs.get(str(exhibit.blob_key))))
    except BlobMissing:
        return [], False
    if exhibit.media_type == _ARCHIVE:
        archive = Source(file, filename="", media_type=_ARCHIVE, encoding=None)
        read = [_member(archive, name) for name in archive.members()]
        return [text for text in read if text is not None], None not in read
    return [Source(file, filename="", media_type="", encoding=check_text(file)).text()], True


def _member(archive: Source, name: str) -> str | None:
    """The text of a file in an archive, None where it is a picture or the like. What it is called is text as well."""
    try:
        member = archive.member(name)
    except NotAdmitted:
        # A text that as a file of its own would be refused, for a control character in it; it is searched all the same.
        return f"{name}\n{b''.join(archive.chunks(name)).decode('utf-8', 'replace')}"
    return None if member.encoding is None else f"{name}\n{member.text()}"


def _in_messages(session: Session, case: Case, words: Words, places: Places) -> None:
    opening = ExhibitMessageOpening
    rows = session.execute(
        select(opening.exhibit_id, opening.seq, opening.text, opening.sender, opening.attachments)
        .where(opening.case_id == case.id)
        .execution_options(yield_per=1_000)
    )
    senders: set[uuid.UUID] = set()
    files: set[uuid.UUID] = set()
    for exhibit, seq, text, sender, attachments in rows:
        if words.in_text(text) or words.in_value(attachments):
            places.add_message(exhibit, seq)
        elif seq not in places.messages.get(exhibit, ()) and places.attached & {
            one["name"] for one in attachments or ()
        }:
            # The same name is not the same file: "photo.jpg" hangs on half of all messages.
            files.add(exhibit)
        if words.in_value(sender) and seq not in places.senders.get(exhibit, ()):
            senders.add(exhibit)
    for exhibit in exhibits_of(session, case) if senders or files else ():
        places.remains |= {f"senders of {exhibit.label}"} if exhibit.id in senders else set()
        places.remains |= {f"attachments of {exhibit.label}"} if exhibit.id in files else set()


def _in_openings(session: Session, case: Case, words: Words, places: Places) -> None:
    opening = DocketOpening
    rows = session.execute(
        select(opening.seq, opening.n, opening.name, opening.value)
        .where(opening.case_id == case.id, opening.value.is_not(None))
        .order_by(opening.seq)
    )
    for seq, n, name, value in rows:
        if words.in_value(value):
            if name in STANDING:
                places.remains.add(f"entry {seq} {name}")
            else:
                places.openings.add((seq, n))


def _what_remains(session: Session, case: Case, words: Words, places: Places) -> None:
    """Note where else they stand: the marketplace's own data, which no redaction touches."""
    order = case.order
    for side, party in {"buyer": case.buyer, "seller": case.seller}.items():
        if words.in_value([party.external_id, party.name, party.return_address]):
            places.remains.add(side)
    if words.in_value([order.external_id, order.lines, order.delivered_to, order.carrier, order.tracking_number]):
        places.remains.add("order")
    if words.in_value([case.return_carrier, case.return_tracking_number]):
        places.remains.add("return parcel")
    scans = session.execute(
        select(TrackingScan.tracking_number, TrackingScan.place, TrackingScan.signed_by).where(
            TrackingScan.order_id == case.order_id
        )
    )
    if any(words.in_value(list(scan)) for scan in scans):
        places.remains.add("tracking")
    kept = select(CustodyOpening.value).where(CustodyOpening.case_id == case.id, CustodyOpening.value.is_not(None))
    if any(words.in_value(value) for value in session.scalars(kept)):
        places.remains.add("custody")
