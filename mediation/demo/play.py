"""Playing a story: step after step, until the end or the first that fails."""

from __future__ import annotations

from collections.abc import Sequence

from mediation.demo.errors import Broken
from mediation.demo.screen import Screen
from mediation.demo.story import Play, Step

# What a reader of JSON meets when an answer has not the members the contract promises.
_NOT_THE_CONTRACT = (KeyError, IndexError, TypeError, ValueError, StopIteration)


def perform(play: Play, steps: Sequence[Step], screen: Screen) -> None:
    """Play every step that applies. Raises Broken, naming the step, at the first that fails."""
    number = 0
    with screen.telling(f"{play.script.headline}, at {play.api.url}", len(steps)):
        for step in steps:
            if step.when(play):
                number += 1
                screen.begin(number, step.who, step.does)
                _take(play, screen, step, number)
            screen.done()


def _take(play: Play, screen: Screen, step: Step, number: int) -> None:
    cause: Exception
    try:
        step.act(play, step.who)
        state = play.case.get("state")
        if step.leads_to and state not in step.leads_to:
            raise Broken(f"the case should be {' or '.join(step.leads_to)} now; it is {state}")
    except Broken as error:
        why, cause = str(error), error
    except _NOT_THE_CONTRACT as error:
        why, cause = f"the answer is not what the contract says ({type(error).__name__}: {error})", error
    else:
        return
    screen.failed(why)
    raise Broken(f"Step {number} failed ({step.who} {step.does}): {why}") from cause
