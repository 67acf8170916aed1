import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from evidence.chain import GENESIS, VERSION, breaches, entry_hash, instant, seal_entry
from evidence.commitments import commit

AT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)


def seal(**changes: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"case": "c1", "seq": 1, "prev": GENESIS, "at": AT, "type": "open", "from_": None}
    return seal_entry(**{**entry, "to": "opened", "commitments": [], **changes})


def test_an_instant_is_written_in_utc_with_microseconds_and_z() -> None:
    east = timezone(timedelta(hours=8))
    assert instant(AT) == "2026-11-03T09:30:00.000000Z"
    assert instant(datetime(2026, 11, 3, 9, 30, 0, 7, tzinfo=east)) == "2026-11-03T01:30:00.000007Z"


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        instant(datetime(2026, 11, 3))  # noqa: DTZ001 -- the point of the test


def test_an_instant_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the years"):
        instant(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8))))


def test_the_hash_is_over_the_canonical_form_of_every_other_field() -> None:
    digest = "ab" * 32
    entry = seal(commitments=[digest])
    assert list(entry) == ["v", "case", "seq", "prev", "at", "type", "from", "to", "commitments", "hash"]
    by_hand = (
        f'{{"at":"2026-11-03T09:30:00.000000Z","case":"c1","commitments":["{digest}"],"from":null,'
        f'"prev":"{GENESIS}","seq":1,"to":"opened","type":"open","v":{VERSION}}}'
    )
    assert entry["hash"] == hashlib.sha256(by_hand.encode()).hexdigest()
    assert entry_hash(entry) == entry["hash"]


def test_a_sealed_entry_survives_json_and_still_verifies() -> None:
    entry = json.loads(json.dumps(seal(commitments=[commit("明天发货").digest.hex()])))
    assert breaches([entry], entry["hash"]) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 0},
        {"seq": 2},
        {"prev": "ab" * 32},
        {"from_": "opened"},
        {"seq": 2, "prev": "ab" * 32},
        {"seq": 2, "prev": "AB" * 32, "from_": "opened"},
        {"seq": 2, "prev": "ab", "from_": "opened"},
        {"commitments": ["ab" * 31]},
        {"commitments": [("ab" * 32).upper()]},
        {"at": datetime(2026, 11, 3)},  # noqa: DTZ001 -- the point of the test
        {"type": "\ud800"},
        {"seq": 2**53, "prev": "ab" * 32, "from_": "opened"},
    ],
)
def test_an_entry_that_could_not_stand_in_a_chain_is_not_sealed(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        seal(**changes)
