"""CSV: a table of messages with a row of headings, in English or Chinese."""

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime

from evidence.errors import NotAdmitted
from evidence.transcripts.normal import Attachment, MessageKind, SenderRole
from evidence.transcripts.pieces import Draft, Piece, PieceKind, Stated
from evidence.transcripts.source import Line, Source
from evidence.transcripts.times import read_time

NAME = "csv"
TITLE = "CSV with headings such as sender, role, time, text"

_HEADINGS = {
    "sender": (
        "sender",
        "from",
        "name",
        "author",
        "user",
        "nick",
        "发送者",
        "发送人",
        "发件人",
        "昵称",
        "用户",
        "姓名",
    ),
    "id": ("id", "sender_id", "user_id", "account", "账号", "用户id"),
    "role": ("role", "side", "角色", "身份"),
    "time": ("time", "sent_at", "date", "timestamp", "datetime", "时间", "发送时间", "日期"),
    "kind": ("kind", "type", "类型", "消息类型"),
    "text": ("text", "message", "content", "body", "内容", "消息", "消息内容", "聊天内容"),
    "attachments": ("attachments", "attachment", "file", "附件"),
}
_COLUMN = {heading: column for column, headings in _HEADINGS.items() for heading in headings}
_DELIMITERS = ",;\t"
MAX_CELL = 100_000


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    first = next((line for line in source.head_lines if line.strip()), "")
    columns = _columns(first, _delimiter(first))
    if "text" not in columns or not {"sender", "id"} & columns.keys():
        return 0
    return 92 if source.media_type == "text/csv" or len(columns) >= 3 else 70


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`. A quoted cell may span lines."""
    rows = _rows(source)
    columns: dict[str, int] | None = None
    width, unread = 0, False
    for first, last, cells in rows:
        place = (first.start, last.end, first.number)
        if not any(cell.strip() for cell in cells):
            yield Piece(PieceKind.blank, *place)
        elif columns is None:
            columns, width = _named(cells), len(cells)
            unread = any(cell.strip() and n not in columns.values() for n, cell in enumerate(cells))
            yield Piece(PieceKind.header, *place)
        elif len(cells) != width:
            draft = Draft(sender=None, text="\t".join(cells), kind=MessageKind.system)
            yield Piece(PieceKind.unreadable, *place, draft)
        else:
            draft = _draft({name: cells[n] for name, n in columns.items()}, stated, unread=unread)
            # Told once: it holds for every row.
            unread = False
            yield Piece(PieceKind.message, *place, draft)


def _rows(source: Source) -> Iterator[tuple[Line, Line, list[str]]]:
    """Yield each row with the first and the last line that it stands on. Raises NotAdmitted for a cell too long."""
    first = next((line for line in source.head_lines if line.strip()), "")
    taken: list[Line] = []

    def fed() -> Iterator[str]:
        for line in source.lines():
            taken.append(line)
            yield line.text + "\n"

    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(fed(), delimiter=_delimiter(first))
    try:
        for cells in reader:
            yield taken[0], taken[-1], cells
            taken.clear()
    except csv.Error as error:
        raise NotAdmitted("file", "too_long", f"a cell after line {reader.line_num} is too long") from error


def _delimiter(first: str) -> str:
    return max(_DELIMITERS, key=lambda one: len(_columns(first, one)))


def _columns(first: str, delimiter: str) -> dict[str, int]:
    cells = next(csv.reader([first], delimiter=delimiter), [])
    return _named(cells)


def _named(cells: Sequence[str]) -> dict[str, int]:
    """The columns that are known, each by its first heading."""
    found: dict[str, int] = {}
    for n, cell in enumerate(cells):
        column = _COLUMN.get(cell.strip().lstrip("\ufeff").lower())
        if column is not None:
            found.setdefault(column, n)
    return found


def _draft(cells: dict[str, str], stated: Stated, *, unread: bool) -> Draft:
    sent_at, doubts = _time(cells.get("time", ""), stated)
    kind, role = cells.get("kind", "").strip().lower(), cells.get("role", "").strip().lower()
    known = kind in list(MessageKind)
    more = (("unknown_kind",) if kind and not known else ()) + (("field_not_read",) if unread else ())
    sender = cells.get("sender", "").strip() or cells.get("id", "").strip() or None
    files = [name.strip() for name in cells.get("attachments", "").split("|") if name.strip()]
    return Draft(
        sender=sender,
        text=cells["text"],
        sent_at=sent_at,
        kind=MessageKind(kind) if known else MessageKind.text if sender else MessageKind.system,
        sender_id=cells.get("id", "").strip() or None,
        role=SenderRole(role) if role in list(SenderRole) else None,
        attachments=tuple(Attachment(name) for name in files),
        doubts=(*doubts, *more),
    )


def _time(written: str, stated: Stated) -> tuple[datetime | None, tuple[str, ...]]:
    """ISO 8601, with slashes for hyphens and months and days of one digit as spreadsheets write them."""
    written = written.strip()
    if not written:
        return None, ()
    day, space, clock = written.replace("/", "-").replace("T", " ", 1).partition(" ")
    parts = day.split("-")
    clock = clock.strip()
    if len(parts) == 3 and space and clock:
        hour = clock.partition(":")[0]
        written = "-".join([parts[0], *(part.zfill(2) for part in parts[1:])]) + "T" + "0" * (2 - len(hour)) + clock
    try:
        return read_time(written, stated.instant)
    except ValueError:
        return None, ("unreadable_time",)
