import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.commitments import opens
from evidence.errors import NotCanonical
from evidence.leaves import attachments_value, leaf_of, seal_message, seal_transcript, sender_value
from evidence.merkle import EMPTY_ROOT, inclusion_proof, root, verify_inclusion
from evidence.transcripts.normal import Attachment, Message, MessageKind, Sender, SenderRole

MESSAGE = Message(
    seq=14,
    sender=Sender(SenderRole.seller, "shop-17", "小店"),
    sent_at=datetime(2026, 11, 3, 1, 30, tzinfo=UTC),
    kind=MessageKind.text,
    text="我们还没发货",
    attachments=(Attachment("box.jpg", "image/jpeg", "ab" * 32),),
)


def test_the_leaf_is_what_it_is_by_hand() -> None:
    sealed = seal_message(MESSAGE)
    form = (
        f'{{"c_attachments":"{sealed.c_attachments.digest.hex()}","c_sender":"{sealed.c_sender.digest.hex()}",'
        f'"c_text":"{sealed.c_text.digest.hex()}","kind":"text","role":"seller",'
        '"sent_at":"2026-11-03T01:30:00.000000Z","seq":14}'
    )
    assert sealed.leaf == hashlib.sha256(b"\x00" + form.encode()).digest()
    assert leaf_of(json.loads(form)) == sealed.leaf
    assert sealed.fields() == json.loads(form)


def test_a_message_without_a_time_has_null_there() -> None:
    assert seal_message(replace(MESSAGE, sent_at=None)).fields()["sent_at"] is None


def test_the_commitments_open_to_text_sender_and_attachments() -> None:
    sealed = seal_message(MESSAGE)
    assert opens(sealed.c_text.digest, sealed.c_text.salt, "我们还没发货")
    assert opens(sealed.c_sender.digest, sealed.c_sender.salt, {"id": "shop-17", "name": "小店"})
    attachments = [{"name": "box.jpg", "media_type": "image/jpeg", "sha256": "ab" * 32}]
    assert opens(sealed.c_attachments.digest, sealed.c_attachments.salt, attachments)
    assert sender_value(MESSAGE) == {"id": "shop-17", "name": "小店"}
    assert attachments_value(MESSAGE) == attachments


def test_the_public_fields_say_nothing_private_and_no_salt_is_used_twice() -> None:
    sealed = seal_message(MESSAGE)
    public = json.dumps(sealed.fields(), ensure_ascii=False)
    assert not any(private in public for private in ("发货", "shop-17", "小店", "box.jpg"))
    assert len({sealed.c_text.salt, sealed.c_sender.salt, sealed.c_attachments.salt}) == 3
    assert seal_message(MESSAGE).leaf != sealed.leaf


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", 15),
        ("role", "buyer"),
        ("kind", "image"),
        ("sent_at", "2026-11-03T01:30:00.000001Z"),
        ("sent_at", None),
        ("c_text", "ab" * 32),
        ("c_sender", "ab" * 32),
        ("c_attachments", "ab" * 32),
    ],
)
def test_any_field_altered_gives_another_leaf(field: str, value: object) -> None:
    sealed = seal_message(MESSAGE)
    assert leaf_of({**sealed.fields(), field: value}) != sealed.leaf


@pytest.mark.parametrize("change", [{"text": "more"}, {"seq": ...}])
def test_fields_that_are_not_those_of_the_format_make_no_leaf(change: dict[str, Any]) -> None:
    fields = {**seal_message(MESSAGE).fields(), **change}
    fields = {name: value for name, value in fields.items() if value is not ...}
    with pytest.raises(ValueError, match="a leaf is made of"):
        leaf_of(fields)


def test_a_text_with_half_a_character_is_not_sealed() -> None:
    with pytest.raises(NotCanonical):
        seal_message(replace(MESSAGE, text="\ud83d"))


@given(st.integers(0, 20))
def test_a_transcripts_root_is_over_its_leaves_and_proves_each(length: int) -> None:
    sealed, head = seal_transcript(replace(MESSAGE, seq=seq) for seq in range(1, length + 1))
    leaves = [one.leaf for one in sealed]
    assert [one.message.seq for one in sealed] == list(range(1, length + 1))
    assert head == root(leaves)
    assert (head == EMPTY_ROOT) == (length == 0)
    for index, one in enumerate(sealed):
        assert verify_inclusion(leaf_of(one.fields()), index, length, inclusion_proof(leaves, index), head)
