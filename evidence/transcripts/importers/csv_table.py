"""CSV: a table of messages with a row of headings, in English or Chinese."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from evidence.errors import NotAdmitted
from evidence.transcripts.importers._files import media_type_of
from evidence.transcripts.normal import Attachment, MessageKind, SenderRole
from evidence.transcripts.pieces import Draft, Piece, PieceKind, Stated
from evidence.transcripts.source import Line, Source
from evidence.transcripts.times import read_time

NAME = "csv"
TITLE = "CSV with headings such as sender, role, time, text"

_HEADINGS = {
    "sender": "sender from name author user nick 发送者 发送人 发送方 发件人 发言人 昵称 用户 姓名",
    "id": "id sender_id user_id account 账号 帐号 用户id",
    "role": "role side 角色 身份",
    "time": "time sent_at date timestamp datetime 时间 发送时间 日期",
    "kind": "kind type 类型 消息类型",
    "text": "text message content body 内容 消息 消息内容 聊天内容 聊天记录",
    "attachments": "attachments attachment file 附件",
}
_COLUMN = {heading: column for column, headings in _HEADINGS.items() for heading in headings.split()}
_KINDS = {"文本": "text", "文字": "text", "图片": "image", "文件": "file", "系统": "system", "撤回": "recall"}
_ROLES = {"买家": "buyer", "买方": "buyer", "卖家": "seller", "卖方": "seller", "商家": "seller", "系统": "system"}
_DELIMITERS = ",;\t"


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    first = _first(source)
    columns = _columns(first, _delimiter(first))
    if "text" not in columns or not {"sender", "id", "role"} & columns.keys():
        return 0
    return 92 if source.media_type == "text/csv" or len(columns) >= 3 else 70


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`. A quoted cell may span lines."""
    columns: dict[str, int] | None = None
    unread: set[int] = set()
    width = 0
    for lines, cells, whole in _rows(source):
        place = (lines[0].start, lines[-1].end, lines[0].number)
        if not any(cell.strip() for cell in cells):
            yield Piece(PieceKind.blank, *place)
        elif columns is None:
            columns, width = _named(cells), len(cells)
            unread = set(range(width)) - set(columns.values())
            yield Piece(PieceKind.header, *place)
        elif len(cells) != width or not whole:
            text = "\n".join(line.text for line in lines)
            yield Piece(PieceKind.unreadable, *place, Draft(sender=None, text=text, kind=MessageKind.system))
        else:
            doubts: tuple[str, ...] = ()
            if any(cells[n].strip() for n in unread):
                # Told once: it holds for every row.
                doubts, unread = ("field_not_read",), set()
            draft = _draft({name: cells[n] for name, n in columns.items()}, stated, doubts)
            yield Piece(PieceKind.message, *place, draft)


def _rows(source: Source) -> Iterator[tuple[list[Line], list[str], bool]]:
    """Yield each row with the lines that it stands on, and whether it came to its end.

    A quote that is never closed makes one cell of all that follows it: such a row does not. Raises NotAdmitted for a
    cell that the library calls too long.
    """
    taken: list[Line] = []
    # A row that is whole is there before anybody asks for what is behind it.
    waiting = True

    def fed() -> Iterator[str]:
        nonlocal waiting
        for line in source.lines():
            taken.append(line)
            yield line.text + "\n"
        waiting = False

    reader = csv.reader(fed(), delimiter=_delimiter(_first(source)))
    try:
        for cells in reader:
            yield taken, cells, waiting
            taken = []
    except csv.Error as error:
        raise NotAdmitted("file", "too_long", f"a cell that ends in line {reader.line_num} is too long") from error


def _first(source: Source) -> str:
    """The first line that says something."""
    return next((line for line in source.head_lines if line.strip()), "")


def _delimiter(first: str) -> str:
    return max(_DELIMITERS, key=lambda one: len(_columns(first, one)))


def _columns(first: str, delimiter: str) -> dict[str, int]:
    return _named(next(csv.reader([first], delimiter=delimiter), []))


def _named(cells: Sequence[str]) -> dict[str, int]:
    """The columns that are known, each by its first heading."""
    found: dict[str, int] = {}
    for n, cell in enumerate(cells):
        column = _COLUMN.get(cell.strip().lower())
        if column is not None:
            found.setdefault(column, n)
    return found


def _draft(cells: Mapping[str, str], stated: Stated, doubts: tuple[str, ...]) -> Draft:
    sent_at, more = _time(cells.get("time", ""), stated)
    attachments = tuple(
        Attachment(name.strip(), media_type_of(name.strip()))
        for name in cells.get("attachments", "").split("|")
        if name.strip()
    )
    sender_id, role = cells.get("id", "").strip() or None, cells.get("role", "").strip()
    # Where a table has sides and no names, the side is what a sender goes by.
    sender = cells.get("sender", "").strip() or sender_id or role or None
    side = _ROLES.get(role, role.lower())
    kind, unsure = _kind(cells, sender, attachments)
    return Draft(
        sender=sender,
        text=cells["text"],
        sent_at=sent_at,
        kind=kind,
        sender_id=sender_id,
        role=SenderRole(side) if side in list(SenderRole) else None,
        attachments=attachments,
        doubts=(*more, *unsure, *doubts),
    )


def _kind(
    cells: Mapping[str, str], sender: str | None, attachments: Sequence[Attachment]
) -> tuple[MessageKind, tuple[str, ...]]:
    """What was sent, as the table says or, where it does not, as what is there says."""
    written = cells.get("kind", "").strip()
    stated = _KINDS.get(written, written.lower())
    if stated in list(MessageKind) and (stated != MessageKind.text or cells["text"]):
        return MessageKind(stated), ()
    unsure = ("unknown_kind",) if written and stated not in list(MessageKind) else ()
    if sender is None:
        return MessageKind.system, unsure
    if attachments and not cells["text"]:
        pictures = all((one.media_type or "").startswith("image/") for one in attachments)
        return MessageKind.image if pictures else MessageKind.file, unsure
    return MessageKind.text, unsure if cells["text"] else (*unsure, "no_text")


def _time(written: str, stated: Stated) -> tuple[datetime | None, tuple[str, ...]]:
    """ISO 8601, with slashes for hyphens and months, days and hours of one digit as spreadsheets write them."""
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
