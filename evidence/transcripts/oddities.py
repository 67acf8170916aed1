"""What is odd about a true chat log, told by code; no text of a message is ever repeated."""

from collections.abc import Iterator
from datetime import datetime

from evidence.transcripts.normal import Message

DETAILS = {
    "time_does_not_exist": "the clocks of the zone never showed this local time; the offset before the change was used",
    "time_is_ambiguous": "the clocks of the zone showed this local time twice; the earlier one was used",
    "time_runs_backwards": "it was sent before a message that stands above it",
    "repeats_the_message_before": "it is the same in every field as the message before it",
    "unreadable": "it could not be read in this format and is kept as it stands",
    "unreadable_time": "its time could not be read, so it has none",
    "no_text": "there is no text under its header",
    "header_in_text": "what was read as its header may be part of the text above: that name stands nowhere else",
    "sender_not_named": "its sender was named for neither side and counts as staff",
    "unknown_kind": "it is of a kind that is not known here and is kept as text",
    "another_conversation": "the export holds several conversations; here another one begins",
    "attachment_missing": "what was attached is not in the export",
    "field_not_read": "the export has fields or columns that are not part of the transcript",
    "edited": "the export says that it was edited after it was sent",
    "messages_missing": "the export says that there are more messages in this conversation than it holds",
}


class Oddities:
    """Notices what is odd about a message among those before it."""

    def __init__(self) -> None:
        self._before: Message | None = None
        self._latest: datetime | None = None

    def of(self, message: Message) -> Iterator[str]:
        """Yield the codes of what is odd about the next message."""
        if message.sent_at is not None:
            if self._latest is not None and message.sent_at < self._latest:
                yield "time_runs_backwards"
            else:
                self._latest = message.sent_at
        if self._before is not None and _said(message) == _said(self._before):
            yield "repeats_the_message_before"
        self._before = message


def _said(message: Message) -> tuple[object, ...]:
    return message.sender, message.sent_at, message.kind, message.text, message.attachments
