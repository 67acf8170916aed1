"""Two verifiers, one of them written from the format's description alone, agree on every dossier, honest or altered."""

from __future__ import annotations

import ast
import io
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from evidence.dossier.verifying import verify
from tests.evidence import second_verifier
from tests.evidence.dossiers import honest, rich
from tests.evidence.tampering import Altered, bits_of_members, bits_of_the_archive, everything

SOURCE = Path(second_verifier.__file__)


def agree(data: bytes, pem: bytes | None = None, receipts: tuple[str, ...] = ()) -> bool:
    """Whether the dossier is intact, which both must say or neither."""
    first = verify(io.BytesIO(data), key=pem, receipts=receipts).intact
    second = second_verifier.verify(data, pem, receipts)
    assert first == (second is None), second
    return first


def test_the_second_is_small_and_imports_nothing_of_ours() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert imported & {"evidence", "mediation", "workflows", "tests", ""} == set()
    assert "cryptography" in imported


def test_both_take_every_honest_dossier() -> None:
    for seed in range(300):
        made = honest(seed)
        assert agree(made.data), seed
        assert agree(made.data, made.pem, tuple(made.receipts)), seed


@pytest.mark.parametrize("reader", ["mediator", "buyer"])
def test_both_find_every_alteration(reader: str) -> None:
    made = rich(reader)
    altered: Iterable[Altered] = [
        *everything(made),
        *bits_of_members(made, random.Random(3)),
        *bits_of_the_archive(made, random.Random(4), 300),
    ]
    for one in altered:
        assert not agree(one.data, one.pem, one.receipts), one.name
