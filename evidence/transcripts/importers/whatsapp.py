"""WhatsApp: an exported chat, as .txt or as .zip with its media.

Each phone writes dates in its owner's habit, so the order of day and month is taken from what proves it in the whole
file, or asked for. A zip holds the chat as a text and the media beside it; the spans of its pieces are those of that
text.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import datetime

from evidence.errors import NotAdmitted
from evidence.transcripts.importers._dates import MARK, hour_of, instant_of, local_time, order_of
from evidence.transcripts.importers._files import media_type_of
from evidence.transcripts.importers._lines import Opening, assemble, resemblance, speaker, speakers
from evidence.transcripts.normal import Attachment, MessageKind
from evidence.transcripts.pieces import DateOrder, Draft, Piece, Stated
from evidence.transcripts.source import Line, Source

NAME = "whatsapp"
TITLE = "WhatsApp, exported chat (txt or zip)"

Media = Callable[[str], Attachment | None]

_DIRECTION = "[\u200e\u200f\u202a-\u202e\ufeff]*"
_STAMP = (
    r"(?P<a>[0-9]{1,4})[/.\-](?P<b>[0-9]{1,2})[/.\-](?P<c>[0-9]{1,4})\.?[,，]?[ \u00a0\u202f]"
    r"(?P<before>" + MARK + r")?[ \u00a0\u202f]?"
    r"(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})(?:[:.](?P<second>[0-9]{2}))?"
    r"(?:[ \u00a0\u202f]?(?P<after>" + MARK + r"))?"
)
_BRACKETED = re.compile(rf"{_DIRECTION}\[{_DIRECTION}{_STAMP}\]{_DIRECTION}(?: |$){_DIRECTION}")
_DASHED = re.compile(rf"{_DIRECTION}{_STAMP} [-–](?: |$){_DIRECTION}")
#: What names the file that was sent, in the languages of the exports that were seen. A caption stands before it on
#: some phones, behind a mark of direction that nobody types, and behind it on others.
_ATTACHED = re.compile(
    r"(?:\A|\u200e)<(?:attached|附件|附加檔案|Anhang|adjunto|pièce jointe|anexado|anexo|allegato)[:：] ?"
    r"(?P<inner>[^<>\n]{1,200})>"
    r"|\A\u200e?(?P<outer>[^<>\n]{1,190}?\.[A-Za-z0-9]{1,8}) \((?:file attached|Datei angehängt|archivo adjunto|"
    r"fichier joint|arquivo anexado|file allegato|文件附件|附件|檔案已附上)\)$",
    re.MULTILINE,
)
_LEFT_OUT = (
    "omitted|ausgeschlossen|weggelassen|omitid[oa]s?|omis(?:es?)?|omess[oi]|ocult[oa]|absente|"
    "已省略|已忽略|省略|忽略|已略過|略過"
)
_SORTS = (
    "image|photo|[Vv]ideo|[Aa]udio|[Ss]ticker|GIF|document|Contact card|Bild|Dokument|imagen|imagem|documento|"
    "immagine|vidéo|图像|图片|视频|音频|贴图|文件|圖片|影片|音訊|貼圖"
)
_OMITTED = re.compile(
    rf"\A\u200e?<[^<>\n]{{0,40}}(?:{_LEFT_OUT})[^<>\n]{{0,20}}>$"
    rf"|(?:\A|\u200e)(?P<sort>{_SORTS}) ?(?:{_LEFT_OUT})\u200e?$",
    re.MULTILINE,
)
_PICTURE = re.compile(r"image|photo|sticker|GIF|Bild|imagen|imagem|immagine|图像|图片|贴图|圖片|貼圖", re.IGNORECASE)
_RECALLED = re.compile(
    r"(?:This message was deleted|You deleted this message|Diese Nachricht wurde gelöscht|"
    r"Du hast diese Nachricht gelöscht|Se eliminó este mensaje|Eliminaste este mensaje|此消息已删除|此訊息已刪除|"
    r"您已删除这条消息|您删除了这条消息|你已刪除此訊息|你刪除了這則訊息)[.。]?"
)
_EDITED = ("<This message was edited>", "<此消息已编辑>", "<消息已编辑>", "<Diese Nachricht wurde bearbeitet.>")
_LIKELY = 50


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    if source.is_archive:
        chat = _chat(source)
        return 0 if chat is None else 90 if likeness(chat) >= _LIKELY else likeness(chat)
    return resemblance(source, _header, least=70, most=90)


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`."""
    chat: Source | None = source
    media: Media = _no_media
    if source.is_archive:
        chat, media = _chat(source), _Media(source).find
    if chat is None:
        raise NotAdmitted("format", "not_this_format", "there is no chat in the archive")
    dates: set[tuple[int, int, int]] = set()

    def dated(line: str) -> re.Match[str] | None:
        if found := _header(line):
            dates.add(_date(found))
        return found

    known = speakers(chat, dated)
    order = order_of(dates, stated.date_order)

    def opens(line: Line) -> Opening | None:
        found = _header(line.text)
        if found is None:
            return None
        at, doubts = instant_of(_time(found, order), stated)
        sender, text_at = speaker(line.text, found.end(), known)
        return Opening(text_at, lambda text: _draft(sender, text, at, doubts, media))

    return assemble(chat, opens)


def _header(line: str) -> re.Match[str] | None:
    return _BRACKETED.match(line) or _DASHED.match(line)


def _date(found: re.Match[str]) -> tuple[int, int, int]:
    return int(found["a"]), int(found["b"]), int(found["c"])


def _time(found: re.Match[str], order: DateOrder) -> datetime | None:
    hour = hour_of(int(found["hour"]), found["before"] or found["after"])
    clock = (hour, int(found["minute"]), int(found["second"] or 0))
    return local_time(_date(found), order, clock)


def _draft(sender: str | None, text: str, at: datetime | None, doubts: tuple[str, ...], media: Media) -> Draft:
    if sender is None:
        return Draft(sender=None, text=text, sent_at=at, kind=MessageKind.system, doubts=doubts)
    kind, attachments, more = MessageKind.text, [], list(doubts)
    plain = text.lstrip("\u200e\u200f")
    if attached := _ATTACHED.search(plain):
        name = attached["inner"] or attached["outer"]
        found = media(name)
        attachment = found or Attachment(name, media_type_of(name))
        attachments.append(attachment)
        kind = MessageKind.image if (attachment.media_type or "").startswith("image/") else MessageKind.file
        more += [] if found else ["attachment_missing"]
    elif omitted := _OMITTED.search(plain):
        picture = omitted["sort"] and _PICTURE.fullmatch(omitted["sort"])
        kind = MessageKind.image if picture else MessageKind.file
        more.append("attachment_missing")
    elif _RECALLED.fullmatch(plain.strip()):
        kind = MessageKind.recall
    if plain.rstrip("\u200e").endswith(_EDITED):
        more.append("edited")
    return Draft(sender=sender, text=text, sent_at=at, kind=kind, attachments=tuple(attachments), doubts=tuple(more))


def _chat(source: Source) -> Source | None:
    """The text among the members that is most likely the chat: documents that were sent stand beside it."""
    names = [name for name in source.members() if name.lower().endswith(".txt")]
    best: tuple[int, Source | None] = (0, None)
    for name in sorted(names, key=lambda name: name.rpartition("/")[2] != "_chat.txt"):
        try:
            member = source.member(name)
        except NotAdmitted:
            # A document that was sent may be anything; the chat itself holds no control characters.
            continue
        likely = likeness(member)
        if likely > best[0]:
            best = (likely, member)
        if likely >= _LIKELY:
            break
    return best[1]


def _no_media(_: str) -> Attachment | None:
    return None


class _Media:
    """The media beside the chat in an archive, by the last part of their names."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._names = {name.rpartition("/")[2]: name for name in source.members()}
        # A file that many messages name is read once.
        self._found: dict[str, Attachment | None] = {}

    def find(self, name: str) -> Attachment | None:
        """The file that a message names, with its digest; None where it is not in the archive."""
        if name not in self._found:
            self._found[name] = self._digested(name)
        return self._found[name]

    def _digested(self, name: str) -> Attachment | None:
        member = self._names.get(name)
        if member is None:
            return None
        digest = hashlib.sha256()
        for chunk in self._source.chunks(member):
            digest.update(chunk)
        return Attachment(name, media_type_of(name), digest.hexdigest())
