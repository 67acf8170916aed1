def test_each_way_leads_to_its_state(story):
    for state in (
        "opened",
        "seller_notified",
        "negotiating",
        "seller_refused",
        "under_review",
        "escalated",
        "decided",
        "refund",
        "refunded",
        "closed",
    ):
        assert story.state(story.at(state)) == state
    assert story.state(story.at("appealed")) == "escalated"
    assert story.state(story.at("pending", paid=60_000)) == "escalated"
    assert story.state(story.failed_refund()) == "escalated"
