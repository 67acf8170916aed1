"""WhatsApp: an exported chat, as .txt or as .zip with its media.

Each phone writes dates in its owner's habit, so the order of day and month is taken from what proves it in the whole
file, or asked for. A zip holds the chat as a text and the media beside it; the spans of its pieces are those of that
text.
"""

import hashlib
import mimetypes
import re
from collections.abc import Callable, Iterator
from datetime import datetime

from evidence.errors import NotAdmitted
from evidence.transcripts.importers._dates import MARK, hour_of, local_time, order_of
from evidence.transcripts.importers._lines import Opening, assemble, share
from evidence.transcripts.normal import Attachment, MessageKind
from evidence.transcripts.pieces import DateOrder, Draft, Piece, Stated
from evidence.transcripts.source import Line, Source

NAME = "whatsapp"
TITLE = "WhatsApp, exported chat (txt or zip)"

_DIRECTION = "[\u200e\u200f\u202a-\u202e\ufeff]*"
_STAMP = (
    r"(?P<a>[0-9]{1,4})[/.\-](?P<b>[0-9]{1,2})[/.\-](?P<c>[0-9]{1,4})\.?[,，]?[ \u00a0\u202f]"
    r"(?P<before>" + MARK + r")?[ \u00a0\u202f]?"
    r"(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})(?:[:.](?P<second>[0-9]{2}))?"
    r"(?:[ \u00a0\u202f]?(?P<after>" + MARK + r"))?"
)
_BRACKETED = re.compile(rf"{_DIRECTION}\[{_STAMP}\] ?{_DIRECTION}")
_DASHED = re.compile(rf"{_DIRECTION}{_STAMP} [-–] {_DIRECTION}")
#: What names the file that was sent, in the languages of the exports that were seen.
_ATTACHED = re.compile(
    r"<(?:attached|附件|Anhang|adjunto|pièce jointe|anexado|allegato)[:：] ?(?P<inner>[^<>\n]{1,200})>"
    r"|(?P<outer>[^<>()\n]{1,200}?) \((?:file attached|Datei angehängt|archivo adjunto|fichier joint|arquivo anexado|"
    r"file allegato|文件附件|附件)\)"
)
_OMITTED = re.compile(
    r"<[^<>\n]{0,40}(?:omitted|ausgeschlossen|omitid[oa]|omis|omess[oi]|省略|忽略)[^<>\n]{0,20}>"
    r"|(?:image|photo|video|audio|sticker|GIF|document|Contact card|图像|图片|视频|音频|贴图|文件)[ ]?"
    r"(?:omitted|已忽略|已省略)"
)
_PICTURE = re.compile(r"image|photo|sticker|GIF|图像|图片|贴图")
_RECALLED = re.compile(
    r"(?:This message was deleted|You deleted this message|此消息已删除|您已删除这条消息|你刪除了這則訊息)\.?"
)
_EDITED = ("<This message was edited>", "<此消息已编辑>", "<消息已编辑>")


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    if source.is_archive:
        return 90 if _chat_member(source) else 0
    if not _header(source.head_lines[0]):
        return 10 if any(map(_header, source.head_lines[:50])) else 0
    # A single message of many lines is a chat too, so one header at the very beginning weighs much.
    return 70 + round(20 * share(source, _header))


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`."""
    chat = source
    media: Callable[[str], Attachment | None] = _no_media
    if source.is_archive:
        name = _chat_member(source)
        if name is None:
            raise NotAdmitted("format", "not_this_format", "there is no chat in the archive")
        chat, media = source.member(name), _Media(source).find
    order = order_of(_dates(chat), stated.date_order)
    senders = {name for line in chat.lines() if (found := _header(line.text)) and (name := _spoken(line.text, found))}

    def opens(line: Line) -> Opening | None:
        found = _header(line.text)
        sent_at = None if found is None else _time(found, order)
        if found is None or sent_at is None:
            return None
        at, doubts = stated.instant(sent_at)
        sender, text_at = _sender(line.text, found.end(), senders)
        return Opening(text_at, lambda text: _draft(sender, text, at, doubts, media))

    return assemble(chat, opens)


def _header(line: str) -> re.Match[str] | None:
    return _BRACKETED.match(line) or _DASHED.match(line)


def _dates(chat: Source) -> Iterator[tuple[int, int, int]]:
    for line in chat.lines():
        if found := _header(line.text):
            yield int(found["a"]), int(found["b"]), int(found["c"])


def _time(found: re.Match[str], order: DateOrder) -> datetime | None:
    hour = hour_of(int(found["hour"]), found["before"] or found["after"])
    clock = (hour, int(found["minute"]), int(found["second"] or 0))
    return local_time((int(found["a"]), int(found["b"]), int(found["c"])), order, clock)


def _spoken(line: str, found: re.Match[str]) -> str | None:
    name, colon, _ = line[found.end() :].partition(": ")
    return name if colon else None


def _sender(line: str, begins: int, senders: set[str]) -> tuple[str | None, int]:
    """Who speaks, and where the text begins. What has no name before a colon is a line of the program itself."""
    rest = line[begins:]
    name, colon, _ = rest.partition(": ")
    if colon:
        return name, begins + len(name) + 2
    # Without a space the colon may be anybody's, so only a name that speaks elsewhere is taken.
    name, colon, _ = rest.partition(":")
    return (name, begins + len(name) + 1) if colon and name in senders else (None, begins)


def _draft(
    sender: str | None, text: str, at: datetime, doubts: tuple[str, ...], media: Callable[[str], Attachment | None]
) -> Draft:
    kind, attachments, more = MessageKind.text if sender else MessageKind.system, [], list(doubts)
    plain = text.lstrip("\u200e\u200f")
    if attached := _ATTACHED.match(plain):
        name = attached["inner"] or attached["outer"]
        found = media(name)
        attachment = found or Attachment(name, mimetypes.guess_type(name)[0])
        attachments.append(attachment)
        kind = MessageKind.image if (attachment.media_type or "").startswith("image/") else MessageKind.file
        more += [] if found else ["attachment_missing"]
    elif sender and _OMITTED.fullmatch(plain):
        kind = MessageKind.image if _PICTURE.search(plain) else MessageKind.file
        more.append("attachment_missing")
    elif sender and _RECALLED.fullmatch(plain.strip()):
        kind = MessageKind.recall
    if plain.rstrip("\u200e").endswith(_EDITED):
        more.append("edited")
    return Draft(sender=sender, text=text, sent_at=at, kind=kind, attachments=tuple(attachments), doubts=tuple(more))


def _chat_member(source: Source) -> str | None:
    names = [name for name in source.members() if name.lower().endswith(".txt")]
    chats = [name for name in names if name.rpartition("/")[2] == "_chat.txt"] or names
    return next((name for name in chats if likeness(source.member(name)) >= 70), None)


def _no_media(_: str) -> Attachment | None:
    return None


class _Media:
    """The media beside the chat in an archive, by the last part of their names."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._names = {name.rpartition("/")[2]: name for name in source.members()}

    def find(self, name: str) -> Attachment | None:
        """The file that a message names, with its digest; None where it is not in the archive."""
        member = self._names.get(name)
        if member is None:
            return None
        digest = hashlib.sha256()
        for chunk in self._source.chunks(member):
            digest.update(chunk)
        return Attachment(name, mimetypes.guess_type(name)[0], digest.hexdigest())
