"""Five stories without a decision: what was agreed, or taken for agreed, is carried out, and if not, paid for."""

from __future__ import annotations

from datetime import timedelta

from mediation.demo.script import Claimed
from mediation.demo.steps import OPENING, action, ends, held, let_pass, proven, refused, scanned, stood_on
from mediation.demo.stories.parts import (
    ADDRESS,
    BACK,
    CAME_BACK,
    CHINESE,
    NOTICED,
    SENT_AGAIN,
    SENT_BACK,
    agrees,
    dispute,
)
from mediation.demo.story import TIME, Step, Story

NEVER_SHIPPED = Story(
    "never-shipped",
    "The seller neither ships nor answers: the money comes back and nobody lifts a finger.",
    dispute(
        "Earphones that were never sent, and a seller who says nothing",
        Claimed(
            "蓝牙耳机 白色", "phones", 19_900, "not_shipped", "refund_only", "下单十天了还没发货，客服也不回，请退款。"
        ),
        between=CHINESE,
        days_ago={"paid_at": 10, "ship_by": 8},
    ),
    (
        *OPENING,
        Step(TIME, "passes: two days, and the seller says nothing", let_pass("P2D"), ("refund", "refunded")),
        Step("mediator", "reads why silence was enough", stood_on("agree", "not_shipped")),
        *ends("refunded", "buyer_favour", f"{NOTICED}, clock agree, gateway settle_refund", refunded=19_900),
    ),
)

RESHIP_NEVER_DONE = Story(
    "reship-never-done",
    "The seller promises to send it again and does not: the money comes back in its place.",
    dispute(
        "A lamp lost on its way, promised again and never sent",
        Claimed(
            "Reading lamp, brass", "furniture", 26_000, "not_received", "reship", "It never arrived. Send another."
        ),
        days_ago={"paid_at": 20, "ship_by": 18, "shipped_at": 18},
    ),
    (
        *OPENING,
        agrees("promises to send another", "awaiting_performance", {}),
        Step("platform", "sees that the order holds what the lamp is worth", held(26_000)),
        Step(TIME, "passes: seven days, and nothing was sent", let_pass("P7D"), ("refund", "refunded")),
        *ends(
            "refunded",
            "settled",
            f"{NOTICED}, seller agree, clock refund_in_place, gateway settle_refund",
            refunded=26_000,
        ),
    ),
)


# --- goods go back -----------------------------------------------------------------------------------------------

RETURN_AND_REFUND = Story(
    "return-and-refund",
    "The seller agrees and says where to; the goods go back, then the money.",
    dispute(
        "A blanket of another colour goes back",
        Claimed(
            "Wool blanket, grey", "furniture", 8_950, "wrong_item", "return_and_refund", "I ordered grey, not green."
        ),
    ),
    (
        *OPENING,
        Step("seller", "agrees without saying where to, and is refused", refused("agree", "return_address_needed")),
        agrees("agrees, and says where to", "awaiting_return", {"return_address": ADDRESS}),
        SENT_BACK,
        Step("seller", "has the goods, as they should be", CAME_BACK, ("refund", "refunded")),
        *ends(
            "refunded",
            "settled",
            f"{NOTICED}, seller agree, buyer ship_return, seller confirm_return, gateway settle_refund",
            refunded=8_950,
        ),
    ),
)

NO_MONEY_BACK = Story(
    "no-money-back",
    "The goods are back and the money is not: one click, on what the carrier's scans prove.",
    dispute(
        "The grinder is back with its seller, the money is not with its buyer",
        Claimed(
            "Coffee grinder", "home_appliances", 31_500, "quality_defect", "return_and_refund", "It does not grind."
        ),
    ),
    (
        *OPENING,
        agrees("agrees, and says where to", "awaiting_return", {"return_address": ADDRESS}),
        SENT_BACK,
        Step(
            "mediator",
            "sends the money back before anything proves the return, and is refused",
            refused("refund_now", "ground_not_proven", {"ground": "return_delivered"}),
        ),
        Step(TIME, "passes: four days", let_pass("P4D"), ("awaiting_inspection",)),
        Step(
            "platform",
            "hands on what the carrier scanned, out of order and twice",
            scanned("return", BACK, ("delivered", timedelta(days=2)), ("in_transit", timedelta(days=3))),
        ),
        Step("mediator", "sees since when the goods are back and the money is not", proven("refund_outstanding")),
        Step(
            "mediator",
            "sends the money back with one click",
            action("refund_now", {"ground": "return_delivered"}),
            ("refund", "refunded"),
        ),
        Step("mediator", "reads on what that stands", stood_on("refund_now", "return_delivered")),
        *ends(
            "refunded",
            "buyer_favour",
            f"{NOTICED}, seller agree, buyer ship_return, mediator refund_now, gateway settle_refund",
            refunded=31_500,
        ),
    ),
)

EXCHANGE = Story(
    "exchange",
    "The goods go back and others come instead; no money moves, though it is held until then.",
    dispute(
        "Boots of the wrong size are exchanged",
        Claimed("Hiking boots, size 42", "apparel", 45_900, "wrong_item", "exchange", "These are 40; I ordered 42."),
    ),
    (
        *OPENING,
        agrees("agrees, and says where to", "awaiting_return", {"return_address": ADDRESS}),
        Step("platform", "sees that the order holds what the boots are worth", held(45_900)),
        SENT_BACK,
        Step("seller", "has the goods, as they should be", CAME_BACK, ("awaiting_performance",)),
        SENT_AGAIN,
        Step("buyer", "has the right ones", action("confirm_performance"), ("closed",)),
        *ends(
            "closed",
            "settled",
            f"{NOTICED}, seller agree, buyer ship_return, seller confirm_return, seller perform, "
            "buyer confirm_performance",
        ),
    ),
)
