"""Walking through the records of an archive that may be damaged, or made to deceive.

An archive that is spelt right is walked from its first byte to its last, each record where the one before it ends.
Where that fails the directory gives hints, and after it the next signature: so that one broken size hides one member
and not all that follow. Every step goes forward, so no file can make the walk long.
"""

import mmap
from bisect import bisect_right
from dataclasses import dataclass

from evidence.dossier import spelling
from evidence.dossier.faults import ARCHIVE, Findings
from evidence.dossier.names import belongs, shown
from evidence.dossier.spelling import DESCRIPTOR, DIRECTORY, DIRECTORY_RECORD, END, END_RECORD, LOCAL, LOCAL_HEADER

Data = bytes | mmap.mmap

_AFTER_A_MEMBER = (LOCAL, DIRECTORY, DESCRIPTOR)
_SIZE_FIELD, _NAME_FIELD, _EXTRA_FIELD, _METHOD_FIELD = 7, 9, 10, 3


@dataclass(frozen=True, slots=True)
class Found:
    """A member: its name, the fields of its local header, and where its bytes `start` and `end` in the file."""

    name: bytes
    fields: spelling.Fields
    start: int
    end: int

    @property
    def shown(self) -> str:
        """The name as it can be printed."""
        return shown(self.name)

    @property
    def stored(self) -> bool:
        """Whether the bytes stand there as they are: neither packed nor encrypted."""
        return self.fields[_METHOD_FIELD] == 0

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class _Hint:
    """What the directory says of the member at some offset."""

    name: bytes
    size: int


def walk(data: Data, found: Findings) -> list[Found]:
    """Return the members that can be found, in the order of the file; bytes that belong to none go to `found`."""
    walker = _Walker(data)
    members: list[Found] = []
    at = 0
    while at < len(data):
        signature = data[at : at + 4]
        if at not in walker.hints:
            if signature in (DIRECTORY, END):
                break
            if signature != LOCAL:
                after = walker.next_record(at)
                found.add(ARCHIVE, f"bytes {at} to {after - 1}", "stray_bytes", "they belong to no member")
                at = after
                continue
        if len(members) == spelling.MAX_MEMBERS:
            found.add(ARCHIVE, "members", "too_many", f"there are more than {spelling.MAX_MEMBERS}")
            break
        member = walker.member(at, found)
        if member is None:
            found.add(ARCHIVE, f"bytes {at} to {len(data) - 1}", "stray_bytes", "they end within a local header")
            break
        members.append(member)
        at = member.end
    return members


class _Walker:
    """Where the next record is."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self.hints = _hints(data)
        self._offsets = sorted(self.hints)
        self._seen: dict[bytes, int] = {}

    def member(self, at: int, found: Findings) -> Found | None:
        """Return the member whose local header begins at `at`, or None if the file ends within it."""
        raw = self._data[at : at + LOCAL_HEADER.size]
        if len(raw) < LOCAL_HEADER.size:
            return None
        fields = LOCAL_HEADER.unpack(raw)
        hint = self.hints.get(at)
        extents = self._extents(at, fields, hint)
        leading = next((extent for extent in extents if self._leads(extent[1] + extent[2])), None)
        if leading is None and hint is not None and hint.size == fields[_SIZE_FIELD]:
            # Both say the same, and what comes behind belongs to nothing.
            leading = next((extent for extent in extents if extent[1] + extent[2] <= len(self._data)), None)
        name_length, start, size = leading or extents[-1]
        end = start + size
        if leading is None:
            # No size leads anywhere: the member lasts until the next thing that can be recognised.
            start = min(start, len(self._data))
            end = max(start, self.next_record(max(at, start - 1)))
        name = self._data[at + LOCAL_HEADER.size : at + LOCAL_HEADER.size + name_length]
        if hint is not None and hint.name != name:
            found.add(shown(hint.name), "local header", "header", "the name is not that in the directory record")
            if not belongs(shown(name)):
                name = hint.name
        return Found(name, fields, start, end)

    def _leads(self, end: int) -> bool:
        return self._data[end : end + 4] in _AFTER_A_MEMBER

    @staticmethod
    def _extents(at: int, fields: spelling.Fields, hint: _Hint | None) -> list[tuple[int, int, int]]:
        """Return what the length of the name, the start and the size of the contents may be, the likeliest first."""
        size, name, extra = (int(fields[field]) for field in (_SIZE_FIELD, _NAME_FIELD, _EXTRA_FIELD))
        begin = at + LOCAL_HEADER.size
        extents = [(name, begin + name + extra, size), (name, begin + name, size)]
        if hint is not None:
            extents.append((len(hint.name), begin + len(hint.name) + extra, hint.size))
            extents.append((len(hint.name), begin + len(hint.name), hint.size))
        return extents

    def next_record(self, at: int) -> int:
        """Return where the next member or the directory begins after `at`; the length of the file if nowhere."""
        position = bisect_right(self._offsets, at)
        hinted = self._offsets[position] if position < len(self._offsets) else len(self._data)
        return min(hinted, *(self._next(signature, at) for signature in (LOCAL, DIRECTORY, END)))

    def _next(self, signature: bytes, at: int) -> int:
        # Remembered, since a search that finds nothing near would else be made again and again over the whole file.
        if self._seen.get(signature, -1) <= at:
            position = self._data.find(signature, at + 1)
            self._seen[signature] = len(self._data) if position < 0 else position
        return self._seen[signature]


def _hints(data: Data) -> dict[int, _Hint]:
    """Return what the directory says, by offset, of members that the file seems to have there."""
    end = data.rfind(END, max(0, len(data) - END_RECORD.size - 65_535))
    raw = data[end : end + END_RECORD.size] if end >= 0 else b""
    if len(raw) < END_RECORD.size:
        return {}
    *_, size, offset, _ = END_RECORD.unpack(raw)
    # Where the end record is sound but for its offset, the directory still ends where it begins.
    places = (place for place in (offset, end - size) if place >= 0)
    at = next((place for place in places if data[place : place + 4] == DIRECTORY), len(data))
    hints: dict[int, _Hint] = {}
    while data[at : at + 4] == DIRECTORY and len(hints) < spelling.MAX_MEMBERS:
        raw = data[at : at + DIRECTORY_RECORD.size]
        if len(raw) < DIRECTORY_RECORD.size:
            break
        fields = DIRECTORY_RECORD.unpack(raw)
        size, name_length, place = fields[8], fields[10], fields[16]
        name = data[at + DIRECTORY_RECORD.size : at + DIRECTORY_RECORD.size + name_length]
        at += DIRECTORY_RECORD.size + name_length + fields[11] + fields[12]
        begin = place + LOCAL_HEADER.size
        if data[place : place + 4] == LOCAL or (name and data[begin : begin + len(name)] == name):
            hints.setdefault(place, _Hint(name, size))
    return hints
