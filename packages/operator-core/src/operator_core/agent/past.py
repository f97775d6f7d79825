"""What earlier incidents with the same signs say; pure, and bounded whatever the history holds.

History is data that anybody who can write tickets can make up. So it never changes a confidence,
which policies read: it only orders causes that what was seen leaves equally likely, and warns.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from operator_core.agent.diagnosis import (
    Assessment,
    Claim,
    Diagnosis,
    PastFailure,
    PastIncidents,
    RemedyOutcomes,
)
from operator_core.clock import to_text
from operator_core.monitor.types import Violation

PAST_BOUND = 0.05
"""How far apart two causes may be, by evidence, for history to put the second one first."""

SEVERAL_ACTIONS = "remedy"
"""The name of a workflow that was made of several actions."""

_HAS_DIGIT = re.compile(r"[0-9]")
_MAX_TOLD_TICKETS = 5
_MAX_WHY_CHARS = 200


class Outcome(NamedTuple):
    """What came of one remedy of an earlier incident.

    Attributes:
        remedy: the workflow's name, or the action's.
        ticket_id: of the incident.
        at: when it was known.
        why: why it failed; empty: it is verified, and the problem did not come back.
        is_rolled_back: whether it was taken back.
    """

    remedy: str
    ticket_id: int
    at: datetime
    why: str = ""
    is_rolled_back: bool = False


def signature(violation: Violation, hypothesis: str, claims: Iterable[Claim]) -> str:
    """Return what tells that two diagnoses rest on the same signs, whatever they are about.

    Args:
        violation: what was explained.
        hypothesis: by which cause.
        claims: those that held; ids in their paths, and the values, make no difference.
    """
    signs = sorted({(_without_ids(one.path), one.predicate.value) for one in claims})
    text = json.dumps([violation.invariant, hypothesis, signs])
    return hashlib.sha256(text.encode()).hexdigest()


def signature_of(diagnosis: Diagnosis) -> str | None:
    """Return the signature of a diagnosis; None where it names no cause, or no problem."""
    if diagnosis.is_unknown or diagnosis.violation is None:
        return None
    return signature(diagnosis.violation, diagnosis.hypothesis, diagnosis.evidence)


def _without_ids(path: str) -> str:
    return "/".join("*" if _HAS_DIGIT.search(one) else one for one in path.split("/"))


def by_remedy(outcomes: Iterable[Outcome]) -> list[RemedyOutcomes]:
    """Return what came of each remedy, by its name."""
    found: dict[str, list[Outcome]] = {}
    for one in outcomes:
        found.setdefault(one.remedy, []).append(one)
    return [_counted(remedy, found[remedy]) for remedy in sorted(found)]


def _counted(remedy: str, outcomes: Sequence[Outcome]) -> RemedyOutcomes:
    failed = [one for one in outcomes if one.why]
    last = max(failed, key=lambda one: (one.at, one.ticket_id), default=None)
    return RemedyOutcomes(
        remedy=remedy,
        verified=len(outcomes) - len(failed),
        failed=len(failed),
        rolled_back=sum(one.is_rolled_back for one in failed),
        last_failure=last
        and PastFailure(ticket_id=last.ticket_id, at=last.at, why=_shortened(last.why)),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_WHY_CHARS else f"{text[: _MAX_WHY_CHARS - 1]}…"


def weight(past: PastIncidents) -> float:
    """Return how much earlier incidents speak for a cause: within half of the bound, both ways.

    One outcome moves little, and no number of them moves more than the bound.
    """
    verified = sum(one.verified for one in past.remedies)
    failed = sum(one.failed for one in past.remedies)
    return round(PAST_BOUND / 2 * (verified - failed) / (verified + failed + 1), 6)


def weighed(past: PastIncidents) -> PastIncidents:
    """Return earlier incidents with the weight that they have."""
    return past.model_copy(update={"weight": weight(past)})


def warnings(past: PastIncidents | None, said: Assessment) -> list[str]:
    """Return a line for each recommended remedy that failed before.

    Args:
        past: earlier incidents with the same signs, if any.
        said: what is recommended now.
    """
    names = {one.action_name for one in said.actions} | {one.name for one in said.workflows}
    names |= {SEVERAL_ACTIONS} if len(said.actions) > 1 else set()
    return [
        f"{one.remedy} failed {_times(one.failed)} of {one.verified + one.failed} before, where "
        f"the signs were the same{_last(one)}."
        for one in (past.remedies if past else ())
        if one.failed and one.remedy in names
    ]


def _last(one: RemedyOutcomes) -> str:
    """Return when and why a remedy failed the last time."""
    last = one.last_failure
    if last is None:
        return ""
    taken_back = f"; {_times(one.rolled_back)} it was rolled back" if one.rolled_back else ""
    at = to_text(last.at)[:16].replace("T", " ")
    return f"; the last time at {at} UTC, ticket {last.ticket_id}: {last.why}{taken_back}"


def told(past: PastIncidents | None) -> str | None:
    """Return what earlier incidents say in a line, None where there were none."""
    if past is None:
        return None
    outcomes = [
        f"{one.remedy} verified {_times(one.verified)}, failed {_times(one.failed)}"
        + (f" (rolled back {_times(one.rolled_back)})" if one.rolled_back else "")
        for one in past.remedies
    ]
    shown = ", ".join(str(one) for one in past.ticket_ids[:_MAX_TOLD_TICKETS])
    return "; ".join([f"{_times(past.seen)} (tickets {_and_more(shown, past)})", *outcomes])


def _and_more(shown: str, past: PastIncidents) -> str:
    return f"{shown}, …" if len(past.ticket_ids) > _MAX_TOLD_TICKETS else shown


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def of_cause(known: Sequence[PastIncidents], hypothesis: str) -> PastIncidents | None:
    """Return the earlier incidents of a cause, if any."""
    return next((one for one in known if one.hypothesis == hypothesis), None)
