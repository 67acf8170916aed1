"""Every message's proof, as the API answers it, leads to the root that was filed."""

from __future__ import annotations

import pytest

from mediation.demo import checks
from mediation.demo.errors import Broken
from tests.mediation.story import CHAT, Story


def test_each_message_is_proved_under_the_root_of_the_exhibit(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = shared.post("buyer", f"/cases/{case}/exhibits", CHAT).get_json()
    for seq, message in enumerate(CHAT["messages"], 1):
        proof = shared.get("seller", f"/exhibits/{exhibit['id']}/proof?seq={seq}").get_json()
        checks.check_message(proof, exhibit["merkle_root"], message["text"])  # type: ignore[index]
        with pytest.raises(Broken):
            checks.check_message(proof, "0" * 64, message["text"])  # type: ignore[index]
        proof["openings"][0]["value"] = "今天发货"
        with pytest.raises(Broken):
            checks.check_message(proof, exhibit["merkle_root"], "今天发货")


@pytest.mark.parametrize(("asked", "status"), [("?seq=3", 404), ("?seq=0", 422), ("?seq=1.5", 422), ("", 422)])
def test_a_message_that_is_not_there_has_no_proof(shared: Story, asked: str, status: int) -> None:
    case = shared.at("under_review")
    exhibit = shared.post("buyer", f"/cases/{case}/exhibits", CHAT).get_json()
    assert shared.get("buyer", f"/exhibits/{exhibit['id']}/proof{asked}").status_code == status
    assert shared.get("other_buyer", f"/exhibits/{exhibit['id']}/proof?seq=1").status_code == 404
