"""A docket told once more: where its entries lead by the table of steps, and what of the case follows from them.

What is replayed of an entry: that its action may be taken from where the case stood, by the role that took it; that
the row's conditions and guards let it, as far as what they look at is on record; and that it leads where the entry
says. A happening that moves nothing is of a known kind and happens in an open case, where it cannot happen later. Time
never goes back, and a final state takes no more actions.

What is not: that nobody had an interest in a party (declared elsewhere, for a time); what an operation checks beside
the procedure (sums, quotes, caps, dates); who may let which happening be recorded; and whatever stood in openings that
were erased. A guard that would need something erased is taken to have let the act through. Of an actor that was erased
any role of the table will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from workflows import guards as g
from workflows.acts import Act, Actor, CaseLike
from workflows.consequences import CONSEQUENCES, OF_RECORDS, UNKNOWN, Told
from workflows.refusals import Refused
from workflows.replayed import OPENED, Entry, Misstep, Replay, Replayed, Unknown, follow
from workflows.states import FINAL_STATES, CaseState, Role
from workflows.steps import STEPS, Guard, Step

#: What is entered without moving a case, and whether that can still happen once the case is over.
RECORDED: dict[str, bool] = {
    "message_posted": False,
    "exhibit_filed": False,
    "evidence_waived": False,
    "clock_started": False,
    "payment_awaited": False,
    "deadline_set_aside": False,
    "deadline_retried": False,
    "deadlines_recounted": False,
    "redaction_requested": True,
    "redaction_rejected": True,
    "redacted": True,
}
ACTIONS = frozenset(step.action for step in STEPS)
_STATES = frozenset(state.value for state in CaseState)
_ROLES = frozenset(role.value for role in Role)


def replay(entries: Iterable[Entry], *, buyer_ref: str, seller_ref: str) -> Replay:
    """Tell a docket once more, from nothing; entries are in order. One that is not allowed is told and then taken as
    it stands, so that each misstep is told once.
    """
    done = Replay(Replayed(buyer_ref, seller_ref))
    before: Entry | None = None
    for entry in entries:
        done.missteps += [Misstep(entry.seq, what) for what in _missteps(done.case, entry, before)]
        _follow(done.case, entry)
        before = entry
    return done


# --- whether it was allowed --------------------------------------------------------------------------------------


def _missteps(case: Replayed, entry: Entry, before: Entry | None) -> Iterator[str]:
    if before is None:
        yield from _first(entry)
        return
    if entry.at < before.at:
        yield "the entry is older than the one before it"
    if entry.from_ != before.to:
        yield f"the entry goes on from {entry.from_}, and the one before left the case in {before.to}"
    if entry.to not in _STATES or entry.from_ not in _STATES:
        yield "the entry names a state that there is not"
    elif entry.type in RECORDED:
        if entry.from_ != entry.to:
            yield f"{entry.type} moves no case, yet it leads from {entry.from_} to {entry.to}"
        if entry.from_ in FINAL_STATES and not RECORDED[entry.type]:
            yield f"{entry.type} does not happen once a case is over"
    elif entry.type in ACTIONS:
        yield from _step(case, entry)
    else:
        yield "the entry is of a type that there is not"


def _first(entry: Entry) -> Iterator[str]:
    if entry.type != OPENED:
        yield "the first entry does not open the case"
    if entry.from_ is not None or entry.to != CaseState.OPENED:
        yield f"a case is opened into {CaseState.OPENED}, not from {entry.from_} into {entry.to}"


def _step(case: Replayed, entry: Entry) -> Iterator[str]:
    """What stands against an action, as the table has it."""
    told = told_by(entry)
    case.change({"state": entry.from_})
    who = "nobody" if told.role is UNKNOWN else f"no {told.role}"
    rows = [
        step
        for step in STEPS
        if step.action == entry.type and entry.from_ in step.source and (told.role is UNKNOWN or told.role in step.by)
    ]
    if not rows:
        yield f"{who} can {entry.type} from {entry.from_}"
        return
    act = _act(told)
    meant = [step for step in rows if all(_holds(case, act, condition) for condition in step.when)]
    leading = [step for step in meant if (step.target or entry.from_) == entry.to]
    if not leading:
        ways = sorted({str(step.target or entry.from_) for step in meant or rows})
        yield f"{entry.type} leads from {entry.from_} to {' or '.join(ways)} here, not to {entry.to}"
        return
    refusals = [_refusal(case, act, step) for step in leading]
    if all(refusals):
        yield f"{entry.type} was refused by the procedure: {refusals[0]}"


def _holds(case: Replayed, act: Act, condition: Any) -> bool:
    """Whether a row's condition holds, or may have held."""
    try:
        return bool(condition(cast(CaseLike, case), act))
    except Unknown:
        return True


def _refusal(case: Replayed, act: Act, step: Step) -> str | None:
    """The code of the first guard that refuses; None where none does as far as the record tells."""
    guards: tuple[Guard, ...] = (g.is_party, *step.guards)
    for guard in guards:
        try:
            guard(cast(CaseLike, case), act)
        except Unknown:
            continue
        except Refused as refused:
            return refused.code
    return None


class _Erased:
    """An actor of whom nothing is known."""

    def __getattr__(self, name: str) -> Any:
        raise Unknown(name)


class _Facts(dict[str, Any]):
    """The facts of an entry; what is not among them is unknown, and not absent: earlier versions told less."""

    def __missing__(self, name: str) -> Any:
        raise Unknown(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The fact; `default` is never taken."""
        return self[name]


def _act(told: Told) -> Act:
    known = told.role is not UNKNOWN
    actor = Actor(told.role, told.subject, told.acts_for, "-") if known else cast(Actor, _Erased())
    return Act(actor, told.at, _Facts(told.sound_facts()))


# --- what follows from it ----------------------------------------------------------------------------------------


def _follow(case: Replayed, entry: Entry) -> None:
    """Take the entry as it stands."""
    told = told_by(entry)
    if entry.type == OPENED:
        case.change({"opened_at": entry.at})
    elif (consequence := CONSEQUENCES.get(entry.type)) is not None:
        case.change(consequence(case, told))
    if "return_address" in entry.openings and not told.waits_for_approval:
        case.change({"return_address_seq": entry.seq})
    case.change({"state": entry.to})
    if entry.to in FINAL_STATES and entry.to != entry.from_:
        case.change({"closed_at": entry.at, "assignee": None, "legs": []})
    if (of_record := OF_RECORDS.get(entry.type)) is not None:
        of_record(case, told)
    follow(case, entry)


def told_by(entry: Entry) -> Told:
    """What an entry tells of its act, with UNKNOWN for what cannot be had."""
    who = entry.openings.get("actor")
    who = who if isinstance(who, Mapping) else {}
    role: Any = who.get("role")
    named = all(isinstance(who.get(name), str) for name in ("role", "subject", "acts_for"))
    known = named and role in _ROLES
    facts = entry.openings.get("facts")
    return Told(
        seq=entry.seq,
        at=entry.at,
        action=entry.type,
        came_from=entry.from_,
        to=entry.to,
        role=Role(role) if known else UNKNOWN,
        subject=who["subject"] if known else UNKNOWN,
        acts_for=who["acts_for"] if known else UNKNOWN,
        facts=facts if isinstance(facts, Mapping) else {},
        openings=entry.openings,
    )
