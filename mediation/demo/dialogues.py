"""A real conversation as the evidence: one JSON line, as public collections of bargaining dialogues have them.

The line is an object whose `messages` are `{seq, role: buyer|seller, speaker_id, kind, text, sent_at}`, the kind one of
message, offer (its sum in `data.price`), accept, reject, quit. What is no message becomes a system line in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from evidence.errors import NotAdmitted
from evidence.transcripts import native
from mediation.demo.people import HAN, SECOND_SPRING
from mediation.demo.script import Claimed, Script

MAX_BYTES = 8 * 1024 * 1024
LONGEST_QUOTE = 300
DEAREST = 100_000_000  # minor units: what a price in the conversation is believed up to
UNPRICED = 5_000
CURRENCY = "USD"
KINDS = ("message", "offer", "accept", "reject", "quit")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


class NotADialogue(Exception):
    """A file does not hold one dialogue; the message names the file, the line and the reason."""


def read(path: Path) -> Script:
    """The story told over the conversation in the file. Raises NotADialogue, or OSError if it cannot be read."""
    line = 1
    try:
        line, dialogue = _only_line(path)
        return _script(dialogue)
    except ValueError as error:
        number = getattr(error, "line", line)
        raise NotADialogue(f"{path}, line {number}: {error}") from error


class _Elsewhere(ValueError):
    """A fault in another line than the first that holds anything."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _only_line(path: Path) -> tuple[int, Any]:
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"a dialogue has at most {MAX_BYTES // 1024 // 1024} MiB; this is more")
    lines = [(n, text) for n, text in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1) if text.strip()]
    if not lines:
        raise ValueError("the file is empty; one JSON object on one line is expected")
    number, text = lines[0]
    try:
        dialogue = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _Elsewhere(number, f"not JSON in UTF-8: {error.msg} (column {error.colno})") from error
    if len(lines) > 1:
        raise _Elsewhere(lines[1][0], "one dialogue is expected, and here is more; keep a single line in the file")
    return number, dialogue


def _script(dialogue: Any) -> Script:
    said = dialogue.get("messages") if isinstance(dialogue, dict) else None
    if not isinstance(said, list) or not said:
        raise ValueError("no dialogue: an object with a list of messages is expected")
    messages = tuple(_message(one, n) for n, one in enumerate(said, 1))
    try:
        # The same reading that the API will do, so that what it would refuse is refused here, with the line.
        native.read(messages, timezone="UTC")
    except NotAdmitted as error:
        raise ValueError(f"{error.field}: {error.detail}") from error
    seq, quote = _words_of_the_seller(messages)
    return _over(_title(dialogue), _price(dialogue, said), messages, seq, quote)


def _message(one: Any, n: int) -> dict[str, Any]:
    at = f"message {n}"
    if not isinstance(one, dict):
        raise ValueError(f"{at} is not an object")
    if one.get("seq") != n:
        raise ValueError(f"{at}: its seq must be {n}, its place in the list")
    if one.get("role") not in ("buyer", "seller"):
        raise ValueError(f"{at}: its role must be buyer or seller")
    kind = one.get("kind", "message")
    if kind not in KINDS:
        raise ValueError(f"{at}: its kind must be one of {', '.join(KINDS)}")
    sender = {"role": one["role"], "id": one.get("speaker_id") or one["role"]}
    if kind == "message":
        told = {"kind": "text", "text": one.get("text")}
    else:
        told = {"kind": "system", "text": _act(kind, one)}
    return {"sender": sender, "sent_at": one.get("sent_at"), **told}


def _act(kind: str, one: Mapping[str, Any]) -> str:
    price = _price_of(one) if kind == "offer" else None
    return f"[{kind}]" if price is None else f"[{kind} {price:.2f}]"


def _price_of(one: Mapping[str, Any]) -> float | None:
    data = one.get("data")
    price = data.get("price") if isinstance(data, dict) else None
    return price if isinstance(price, int | float) and not isinstance(price, bool) else None


def _price(dialogue: Mapping[str, Any], said: list[Any]) -> int:
    """What the two ended on, in minor units: the last sum offered, else the one the item was listed for."""
    meta = dialogue.get("meta")
    listed = meta.get("list_price") if isinstance(meta, dict) else None
    sums = [_price_of(one) for one in reversed(said)] + [_price_of({"data": {"price": listed}})]
    minor = (round(price * 100) for price in sums if price is not None and 0 < price < DEAREST)
    return next((amount for amount in minor if 0 < amount <= DEAREST), UNPRICED)


def _title(dialogue: Mapping[str, Any]) -> str:
    meta = dialogue.get("meta")
    title = meta.get("item_title") if isinstance(meta, dict) else None
    cleaned = _printable(title).strip()[:120] if isinstance(title, str) else ""
    return cleaned or "the item they talked about"


def _printable(text: str) -> str:
    """The text as our own words may hold it: the API takes control characters in evidence, but not in a statement."""
    return "".join(c for c in text if c.isprintable())


def _words_of_the_seller(messages: tuple[dict[str, Any], ...]) -> tuple[int, str]:
    """The longest sentence of the seller's, with the seq of its message; where they wrote none, an act of theirs."""
    for kind in ("text", "system"):
        found = list(_sentences(messages, kind))
        if found:
            return max(found, key=lambda one: len(one[1]))
    raise ValueError("the seller says nothing in it that could be quoted")


def _sentences(messages: tuple[dict[str, Any], ...], kind: str) -> Iterator[tuple[int, str]]:
    for seq, message in enumerate(messages, 1):
        if message["kind"] == kind and message["sender"]["role"] == "seller":
            for part in _SENTENCE_END.split(message["text"]):
                sentence = part.strip()[:LONGEST_QUOTE].strip()
                if sentence:
                    yield seq, sentence


def _over(title: str, amount: int, messages: tuple[dict[str, Any], ...], seq: int, quote: str) -> Script:
    # Longer than the message itself, so that it cannot stand in it by accident.
    misquote = f"{messages[seq - 1]['text'][:LONGEST_QUOTE]} (and you have my word on it)"
    words = _printable(quote)
    return Script(
        headline=f"A real conversation as the evidence: {title}",
        buyer=HAN,
        seller=SECOND_SPRING,
        currency=CURRENCY,
        claimed=(
            Claimed(
                title=title,
                category="second_hand",
                amount=amount,
                reason="not_as_described",
                request="refund_only",
                statement=f"I bought “{title}” and it is not what we talked about. I want my money back; the chat is "
                "attached.",
            ),
        ),
        facts={},
        refusal_reason="as_described",
        refusal=f"“{title}” is exactly as I described it. No refund.",
        log_title=f"Chat about {title}",
        timezone="UTC",
        messages=messages,
        seq=seq,
        quote=quote,
        misquote=misquote,
        issue=f"What did the seller tell the buyer about “{title}”?",
        reasons=f"In message {seq} the seller said “{words}”. The buyer could rely on these words, and what came does "
        "not bear them out. The price is to be returned.",
        grounds=f"My words about “{title}” were taken out of their context.",
        dismissal=f"The whole conversation is on file, and “{words}” means there what it says. The decision stands.",
    )
