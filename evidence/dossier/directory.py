"""Comparing every record of an archive with what its members ask for: nothing else may be in the file."""

from collections.abc import Sequence

from evidence.dossier import spelling
from evidence.dossier.faults import ARCHIVE, Findings
from evidence.dossier.names import shown
from evidence.dossier.spelling import DIRECTORY, DIRECTORY_RECORD, END, END_RECORD, LOCAL_HEADER
from evidence.dossier.walking import Data, Found


def check(data: Data, members: Sequence[Found], sums: Sequence[int], found: Findings) -> None:
    """Compare every record with what the members ask for. `sums` are the CRC-32 of the members' bytes."""
    seen: set[bytes] = set()
    highest = b""
    for member, crc in zip(members, sums, strict=True):
        _check_name(member, seen, highest, found)
        seen.add(member.name)
        highest = max(highest, member.name)
        expected = spelling.local_fields(member.name, crc, member.size)
        _compare(member.shown, "local header", spelling.LOCAL_FIELDS, member.fields, expected=expected, found=found)
    at = max((member.end for member in members), default=0)
    _Directory(data, members, sums, found).check(_directory_at(data, at))


def _directory_at(data: Data, at: int) -> int:
    """Return where the directory begins, at or after the end of the last member."""
    places = [data.find(signature, at) for signature in (DIRECTORY, END)]
    return min((place for place in places if place >= 0), default=len(data))


def _check_name(member: Found, seen: set[bytes], highest: bytes, found: Findings) -> None:
    if member.name in seen:
        found.add(member.shown, "local header", "duplicate", "a member of this name is there already")
    elif member.name < highest:
        found.add(member.shown, "local header", "out_of_order", f"the member stands after {shown(highest)}")


def _compare(
    file: str,
    place: str,
    names: Sequence[str],
    fields: Sequence[object],
    *,
    expected: Sequence[object],
    found: Findings,
) -> None:
    """Report, in one fault, every field that is not as it must be; a wrong CRC-32 is one of the contents."""
    wrong = [name for name, is_, must in zip(names, fields, expected, strict=True) if is_ != must]
    if place == "local header" and wrong == ["crc"]:
        found.add(file, "contents", "crc", "they do not give the CRC-32 of the local header")
    elif wrong:
        found.add(file, place, "header", f"not as it must be: {', '.join(wrong)}")


class _Directory:
    """The directory and the end record, compared with those that the members ask for."""

    def __init__(self, data: Data, members: Sequence[Found], sums: Sequence[int], found: Findings) -> None:
        self._data = data
        self._found = found
        self._members = members
        self._expected: list[spelling.Fields] = []
        self._offset = 0
        for member, crc in zip(members, sums, strict=True):
            # Bytes altered under their CRC-32 are told of once: the record may repeat what the local header says.
            self._expected.append(spelling.directory_fields(member.name, crc, member.size, self._offset))
            self._offset += LOCAL_HEADER.size + len(member.name) + member.size
        self._size = sum(DIRECTORY_RECORD.size + len(member.name) for member in members)

    def check(self, at: int) -> None:
        """Check from `at`, where the directory begins, to the end of the file."""
        at = self._records(at)
        if self._data[at : at + 4] != END:
            after = self._data.find(END, at)
            if after < 0:
                after = max(at, len(self._data) - END_RECORD.size) if len(self._data) - at >= END_RECORD.size else at
            self._stray(at, after)
            at = after
        raw = self._data[at : at + END_RECORD.size]
        if len(raw) < END_RECORD.size:
            self._found.add(ARCHIVE, "end record", "no_end", "it is missing, or not whole")
            return
        expected = spelling.end_fields(len(self._members), self._size, self._offset)
        fields = END_RECORD.unpack(raw)
        _compare(ARCHIVE, "end record", spelling.END_FIELDS, fields, expected=expected, found=self._found)
        self._stray(at + END_RECORD.size, len(self._data))

    def _stray(self, start: int, end: int) -> None:
        if start < end:
            self._found.add(ARCHIVE, f"bytes {start} to {end - 1}", "stray_bytes", "they belong to no record")

    def _records(self, at: int) -> int:
        """Check the records one by one and return where they end."""
        by_name = {member.name: n for n, member in reversed(list(enumerate(self._members)))}
        listed: list[int] = []
        shift = 0
        while (
            len(raw := self._data[at : at + DIRECTORY_RECORD.size]) == DIRECTORY_RECORD.size and not self._found.untold
        ):
            fields = DIRECTORY_RECORD.unpack(raw)
            name = self._name(at, len(listed), fields)
            if name is None:
                break
            n = by_name.get(name)
            if n is not None and n in listed[-1:] and self._members[n + 1 : n + 2]:
                # A second member of one name, which has a record of its own.
                n = n + 1 if self._members[n + 1].name == name else n
            if n is None:
                self._found.add(shown(name), "directory record", "no_member", "there is no such member")
            else:
                shift = self._record(n, fields, shift)
                listed.append(n)
            at += self._length(at, name, fields)
        self._missing(listed)
        return at

    def _name(self, at: int, n: int, fields: spelling.Fields) -> bytes | None:
        """Return the name in the record at `at`: as the next member has it, else as the record says, else None."""
        begin = at + DIRECTORY_RECORD.size
        if n < len(self._members):
            expected = self._members[n].name
            if expected and self._data[begin : begin + len(expected)] == expected and fields[0] != END:
                return expected
        return self._data[begin : begin + int(fields[10])] if fields[0] == DIRECTORY else None

    def _length(self, at: int, name: bytes, fields: spelling.Fields) -> int:
        length = DIRECTORY_RECORD.size + len(name)
        if self._data[at + length : at + length + 4] in (DIRECTORY, END):
            return length
        return length + int(fields[11]) + int(fields[12])

    def _record(self, n: int, fields: spelling.Fields, shift: int) -> int:
        """Compare a record; return by how much its offset, and so those of all that follow, is off."""
        member, expected = self._members[n], list(self._expected[n])
        if fields[7] == member.fields[6]:
            expected[7] = fields[7]
        off = int(fields[16]) - int(expected[16])
        if off == shift:
            expected[16] = fields[16]
        names = spelling.DIRECTORY_FIELDS
        _compare(member.shown, "directory record", names, fields, expected=expected, found=self._found)
        return off

    def _missing(self, listed: list[int]) -> None:
        missing = sorted(set(range(len(self._members))).difference(listed))
        if len(missing) == 1:
            name = self._members[missing[0]].shown
            self._found.add(name, "directory record", "no_record", "it is missing")
        elif missing:
            what = f"it cannot be read as far as {len(missing)} members, of which the first is member {missing[0] + 1}"
            self._found.add(ARCHIVE, "directory", "no_record", what)
        elif listed != sorted(listed):
            self._found.add(ARCHIVE, "directory", "out_of_order", "it is not in the order of the members")
        if len(listed) != len(set(listed)):
            self._found.add(ARCHIVE, "directory", "duplicate", "it names a member more than once")
