"""What of a message enters the record: three commitments and the leaf of the Merkle tree above them.

The leaf is SHA-256(0x00 || RFC 8785 of `{seq, role, sent_at, kind, c_text, c_sender, c_attachments}`); 0x00 is the
leaf prefix of RFC 6962 section 2.1, so no node (0x01) can pass for a leaf. `sent_at` is written by `chain.instant` or
null, each `c_…` is the lowercase hex digest of a commitment: to the text as a string, to `{"id", "name"}`, to the list
of `{"name", "media_type", "sha256"}`. What a redaction erases can thus vanish while the leaf stays computable.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from evidence.canonical import canonical, canonical_of_plain
from evidence.chain import instant
from evidence.commitments import COMMITMENT_PREFIX, SALT_BYTES, Commitment
from evidence.merkle import root
from evidence.transcripts.normal import Message

_PREFIX = b"\x00"
_FIELDS = frozenset({"seq", "role", "sent_at", "kind", "c_text", "c_sender", "c_attachments"})


class SealedMessage(NamedTuple):
    """A message, its leaf (32 bytes) and the commitments; text, names and salts are the part that can be erased."""

    message: Message
    leaf: bytes
    c_text: Commitment
    c_sender: Commitment
    c_attachments: Commitment

    def fields(self) -> dict[str, Any]:
        """Return the fields that `leaf_of` hashes: what may be shown of a message whose words may not."""
        return _fields(self.message, self.c_text, self.c_sender, self.c_attachments)


def seal_message(message: Message) -> SealedMessage:
    """Commit to a message under fresh salts. Raises NotCanonical for text with lone surrogates."""
    # Randomness is asked for once: a log has a hundred thousand messages of three commitments each.
    salts = secrets.token_bytes(3 * SALT_BYTES)
    c_text = _commit(message.text, salts[:SALT_BYTES])
    c_sender = _commit(sender_value(message), salts[SALT_BYTES : 2 * SALT_BYTES])
    c_attachments = _commit(attachments_value(message), salts[2 * SALT_BYTES :])
    fields = canonical_of_plain(_fields(message, c_text, c_sender, c_attachments))
    return SealedMessage(message, hashlib.sha256(_PREFIX + fields).digest(), c_text, c_sender, c_attachments)


def _commit(value: Any, salt: bytes) -> Commitment:
    """As `commitments.commit` does, for what a message is made of."""
    return Commitment(hashlib.sha256(COMMITMENT_PREFIX + salt + canonical_of_plain(value)).digest(), salt)


def seal_transcript(messages: Iterable[Message]) -> tuple[list[SealedMessage], bytes]:
    """Seal every message; return them in order with the 32-byte Merkle root over their leaves."""
    sealed = [seal_message(message) for message in messages]
    return sealed, root([one.leaf for one in sealed])


def leaf_of(fields: Mapping[str, Any]) -> bytes:
    """Return the 32-byte leaf of a message's public fields, for sealing and for verifying alike.

    Raises ValueError if the fields are not exactly those of the format, NotCanonical if one has no canonical form.
    """
    if fields.keys() != _FIELDS:
        raise ValueError(f"a leaf is made of {', '.join(sorted(_FIELDS))}")
    return hashlib.sha256(_PREFIX + canonical(dict(fields))).digest()


def sender_value(message: Message) -> dict[str, str | None]:
    """Return the value that `c_sender` commits to."""
    return {"id": message.sender.id, "name": message.sender.name}


def attachments_value(message: Message) -> list[dict[str, str | None]]:
    """Return the value that `c_attachments` commits to."""
    return [{"name": one.name, "media_type": one.media_type, "sha256": one.sha256} for one in message.attachments]


def _fields(message: Message, text: Commitment, sender: Commitment, attachments: Commitment) -> dict[str, Any]:
    return {
        "seq": message.seq,
        "role": message.sender.role.value,
        "sent_at": None if message.sent_at is None else instant(message.sent_at),
        "kind": message.kind.value,
        "c_text": text.digest.hex(),
        "c_sender": sender.digest.hex(),
        "c_attachments": attachments.digest.hex(),
    }
