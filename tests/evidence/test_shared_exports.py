"""Real dialogues and the exports of real programs, where they lie beside the project; skipped where they do not."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from evidence.transcripts import imports
from evidence.transcripts.normal import MessageKind, SenderRole
from evidence.transcripts.pieces import DateOrder, Piece, Stated
from tests.evidence.test_importers import source_of

DATA = Path(__file__).parents[2].parent / "shared" / "data"
EXPORTS, DIALOGUES = DATA / "exports", DATA / "dialogues"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared samples are not there")
SHANGHAI = ZoneInfo("Asia/Shanghai")
_DMY = DateOrder.dmy


def read(path: Path, zone: ZoneInfo | None = None) -> imports.Imported:
    with source_of(path.read_bytes(), path.name) as source:
        return imports.read(source, stated=Stated(zone), participants={})


@pytest.mark.parametrize("name", ["late_shipment", "review_extortion"])
def test_copied_conversations_of_qianniu_are_as_expected(name: str) -> None:
    folder = EXPORTS / "qianniu_sample"
    expected = json.loads((folder / f"{name}.expected.json").read_text("utf-8"))
    found = read(folder / f"{name}.txt", ZoneInfo(expected["timezone"]))
    shown = [
        {
            "seq": one.seq,
            "sender": one.sender.name,
            "sent_at": one.sent_at and one.sent_at.astimezone(SHANGHAI).replace(tzinfo=None).isoformat(),
            "kind": one.kind.value,
            "text": one.text,
        }
        for one in found.transcript.messages
    ]
    assert found.format == "qianniu"
    assert shown == expected["messages"]


FIXTURES = [
    *[
        ("whatsapp", f"whatsapp_chatminer_MIT/test_{name}")
        for name in ("[mmddyy]_24hrs.txt", "ddmmyy_24hrs.txt", "mmddyyyy_12hrs.txt")
    ],
    ("signal", "signal_chatminer_MIT/test_export.txt"),
    ("telegram", "telegram_chatminer_MIT/test_single_export.json"),
    ("instagram", "instagram_chatminer_MIT/test_export.json"),
]


@pytest.mark.parametrize(("format", "name"), FIXTURES)
def test_fixtures_agree_with_their_target_where_it_speaks(format: str, name: str) -> None:
    """It keeps no lines of the program and joins lines by a space; its order is its own."""
    path = EXPORTS / name
    target = json.loads((path.parent / "target.json").read_text("utf-8"))
    found = read(path, ZoneInfo("UTC"))
    assert found.format == format
    said = {
        (str(one.sent_at)[:19].replace(" ", "T"), one.sender.name, " ".join(one.text.split()))
        for one in found.transcript.messages
    }
    wanted = {(one["timestamp"], one["author"], " ".join(one["message"].split())) for one in target}
    assert wanted <= said
    assert len(wanted) == len(target)


def test_the_slack_export_comes_out_message_for_message() -> None:
    path = EXPORTS / "slack_export_MIT" / "testarchive.zip"
    found = read(path)
    with source_of(path.read_bytes(), path.name) as source:
        days = [name for name in source.members() if name.count("/") == 1]
        raw = [item for name in days for item in source.member(name).json]
    assert found.format == "slack"
    said = sorted((one.text, one.sent_at) for one in found.transcript.messages)
    assert said == sorted((item.get("text", ""), _slack_time(item["ts"])) for item in raw)


def _slack_time(ts: str) -> datetime:
    seconds, _, micro = ts.partition(".")
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(micro))


def test_the_intercom_examples_come_out_part_for_part() -> None:
    path = EXPORTS / "intercom_MIT" / "conversation_examples_api_2.11.json"
    found = read(path)
    conversations: list[Any] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict) and value.get("type") == "conversation" and isinstance(value.get("source"), dict):
            conversations.append(value)
            return
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(inner)

    collect(json.loads(path.read_text("utf-8")))
    parts = sum(len((one.get("conversation_parts") or {}).get("conversation_parts", [])) for one in conversations)
    assert (found.format, len(conversations)) == ("intercom", 13)
    assert len(found.transcript.messages) == len(conversations) + parts


# --- a hundred real dialogues ------------------------------------------------------------------------------------

Row = tuple[str, str, datetime | None, str]
#: A dialogue as rows of name, side, time (UTC) and text.
SIDES = {"buyer": "buyer", "customer": "buyer", "seller": "seller", "agent": "seller"}


def _dialogues() -> Iterator[list[Row]]:
    files = ("craigslist_bargain", "uneed_examples", "abcd_sample", "multidogo_finance")
    taken = {"craigslist_bargain": 80, "uneed_examples": 3, "abcd_sample": 3, "multidogo_finance": 34}
    for name in files:
        lines = (DIALOGUES / f"{name}.jsonl").read_text("utf-8").splitlines()
        for line in itertools.islice(lines, taken[name]):
            rows = list(_rows(json.loads(line)["messages"]))
            if rows:
                yield rows


def _rows(messages: list[dict[str, Any]]) -> Iterator[Row]:
    for one in messages:
        text = one["text"].strip()
        if not text or one["role"] not in SIDES:
            continue
        sent_at = None
        if one.get("sent_at"):
            parsed = datetime.fromisoformat(one["sent_at"])
            sent_at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=SHANGHAI)).astimezone(UTC)
        side = SIDES[one["role"]]
        yield {"buyer": "Buyer One", "seller": "Shop:Two"}[side], side, sent_at, text


def _native(rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {"sender": {"role": side, "name": name}, "sent_at": at.isoformat() if at else None, "text": text}
        for name, side, at, text in rows
    ]


def as_native(rows: list[Row]) -> str:
    return json.dumps({"messages": _native(rows)}, ensure_ascii=False)


def as_jsonl(rows: list[Row]) -> str:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in _native(rows))


def as_csv(rows: list[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["sender", "role", "time", "text"])
    writer.writerows([name, side, at.isoformat() if at else "", text] for name, side, at, text in rows)
    return out.getvalue()


def as_telegram(rows: list[Row]) -> str:
    items = [
        {"type": "message", "date_unixtime": str(int(at.timestamp())) if at else "?", "from": name, "text": [text]}
        for name, _, at, text in rows
    ]
    return json.dumps({"messages": items}, ensure_ascii=False)


def _local(rows: list[Row]) -> Iterator[tuple[str, datetime, str]]:
    """For formats that cannot do without a time: one a minute where the dialogue has none."""
    for n, (name, _, at, text) in enumerate(rows):
        yield name, (at or datetime(2026, 11, 13, tzinfo=UTC) + timedelta(minutes=n)).astimezone(SHANGHAI), text


def as_whatsapp(rows: list[Row]) -> str:
    return "".join(f"[{at:%d.%m.%Y, %H:%M:%S}] {name}: {text}\n" for name, at, text in _local(rows))


def as_signal(rows: list[Row]) -> str:
    return "".join(f"[{at:%Y-%m-%d, %H:%M}] {name}: {text}\n" for name, at, text in _local(rows))


def as_qianniu(rows: list[Row]) -> str:
    return "".join(f"{name}\n{at:%Y-%m-%d %H:%M:%S}\n{text}\n已读\n" for name, at, text in _local(rows))


def as_irc(rows: list[Row]) -> str:
    return "".join(f"{at:%Y-%m-%d %H:%M:%S} <{name.replace(' ', '_')}> {text}\n" for name, at, text in _local(rows))


WRITERS: list[tuple[str, str, Callable[[list[Row]], str], bool]] = [
    ("native", "x.json", as_native, True),
    ("jsonl", "x.txt", as_jsonl, True),
    ("csv", "x.csv", as_csv, True),
    ("telegram", "x.json", as_telegram, True),
    ("whatsapp", "x.txt", as_whatsapp, False),
    ("signal", "x.txt", as_signal, False),
    ("qianniu", "x.txt", as_qianniu, False),
    ("irc", "x.txt", as_irc, False),
]


@pytest.mark.parametrize(("format", "filename", "write", "exact"), WRITERS, ids=[one[0] for one in WRITERS])
def test_a_hundred_real_dialogues_come_out_message_for_message(
    format: str, filename: str, write: Callable[[list[Row]], str], exact: bool
) -> None:
    dialogues = list(itertools.islice(_dialogues(), 100))
    assert len(dialogues) == 100
    for rows in dialogues:
        pieces: list[Piece] = []
        with source_of(write(rows).encode(), filename) as source:
            stated = Stated(SHANGHAI, None if format != "whatsapp" else _DMY)
            found = imports.read(source, stated=stated, participants={}, watch=pieces.append)
        assert found.format == format
        said = [one for one in found.transcript.messages if one.kind is not MessageKind.system]
        assert [one.text for one in said] == [text for *_, text in rows]
        assert [(one.sender.name or "").replace("_", " ") for one in said] == [name for name, *_ in rows]
        times = [at for _, _, at, _ in rows] if exact else [at for _, at, _ in _local(rows)]
        if format == "signal":
            # It writes no seconds.
            times = [at and at.replace(second=0) for at in times]
        assert [_second(one.sent_at) for one in said] == [_second(at) for at in times]
        if format in ("native", "jsonl", "csv"):
            assert [one.sender.role for one in said] == [SenderRole(side) for _, side, _, _ in rows]


def _second(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC).replace(microsecond=0)
