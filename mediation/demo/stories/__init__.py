"""Every story by its name: the kettle's, and eight about what follows when people act, and when nobody does.

A story is its order, its steps, and what it comes to: every entry of the docket by role and type, the state, the
outcome, the money. Sums are in minor units of whatever currency it is played in.
"""

from __future__ import annotations

from mediation.demo.stories import agreed, decided
from mediation.demo.stories.kettle import KETTLE
from mediation.demo.story import Story

STORIES: dict[str, Story] = {
    story.name: story
    for story in (
        KETTLE,
        agreed.NEVER_SHIPPED,
        agreed.RETURN_AND_REFUND,
        agreed.NO_MONEY_BACK,
        agreed.EXCHANGE,
        agreed.RESHIP_NEVER_DONE,
        decided.EVIDENCE_DEFAULT,
        decided.TWO_CLAIMS,
        decided.ABOVE_AUTHORITY,
    )
}
