"""What verifying finds: faults with the place they are at, and the report that holds them."""

from dataclasses import dataclass, field

ARCHIVE = "archive"
"""The `file` of a fault that lies between the members: the directory, the end record, bytes that belong to nothing."""

MAX_FAULTS = 1000
"""Faults that are told one by one; a file that was made to be wrong everywhere costs no more memory than these."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`file`: a member's name, ARCHIVE or a receipt; `place`: where in it; `code`: for programs; `what`: for people.

    None of them repeats what the file says, save names of members, labels and numbers.
    """

    file: str
    place: str
    code: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: {self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """What verifying came to.

    `intact`: no fault was found. `signed_by`: the thumbprint (RFC 7638) of the key whose signature over the manifest
    holds, None if none does. `key_checked`: the reader gave a key of their own. `untold`: how many faults there are
    beyond those in `faults`. `counts`: how many members, entries, seals, exhibits, messages, custody entries and
    decisions were looked at.
    """

    intact: bool
    signed_by: str | None
    key_checked: bool
    faults: list[Fault]
    counts: dict[str, int]
    untold: int = 0


@dataclass(slots=True)
class Findings:
    """The faults found so far, in the order in which they were found."""

    faults: list[Fault] = field(default_factory=list)
    untold: int = 0

    @property
    def count(self) -> int:
        """How many there are, those that are not told one by one included."""
        return len(self.faults) + self.untold

    def add(self, file: str, place: str, code: str, what: str) -> None:
        """Note a fault."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(file, place, code, what))
        else:
            self.untold += 1
