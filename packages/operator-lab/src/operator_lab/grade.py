"""Marks one play by what its scenario calls a right answer; pure."""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from operator_core.actions.types import ActionStatus
from operator_core.agent.diagnosis import UNKNOWN_CAUSE
from operator_lab.scenario import Expectation, Scenario
from operator_lab.times import first_of, timely, times
from operator_lab.words import Deed, Played, SeenTicket

DESTRUCTIVE = frozenset(
    {
        "delete_gc_safepoint",
        "delete_pd_member",
        "delete_store",
        "failover",
        "reinitialize_member",
        "remove_member",
        "remove_peer",
        "remove_tombstones",
        "unsafe_remove_failed_stores",
    }
)
"""What does harm wherever a scenario does not ask for it by name."""


class Marks(BaseModel):
    """The marks of one play; None: the scenario asks for nothing of the kind.

    Attributes:
        detected: every problem that must be seen has a ticket, and none from before any fault.
        first: of each such ticket the first cause is a right one.
        in_two: one of the first two is.
        settled: the last diagnosis names a right one, where the scenario asks for it.
        remedy: exactly the actions that were asked for, or a person where one is asked for.
        mitigated: in the end all data is served and copied, nothing is left over.
        verified: each remedy was proven to have helped.
        quiet: nothing was opened although nothing was wrong.
        harmful: actions that do harm, or did.
        wrong: actions that nobody asked for and that do none.
        false_actions: actions although nothing was wrong.
        abstained: problems whose cause was said to be unknown.
        beside: problems told beside those that must be seen, as if they had causes of their own.
        detect_seconds: from the fault to the first ticket that must be seen.
        detect_looks: by how many usual looks a ticket came after its rule's grace, counted from the
            last look at which the problem was not seen yet; of the slowest that must be seen.
        fault_looks: the same of the first ticket, counted from the fault.
        diagnose_seconds: from that ticket to its diagnosis.
        act_seconds: from the first proposal to the first call, the person's time included.
        verify_seconds: from the fault to the end of the last ticket.
        proven_seconds: from the fault to the proof of the remedy, where there was one.
        shown_seconds: of that, until the cluster showed it.
        grace_seconds: of that, how long the rule lets it pass.
        cluster_seconds: of that, how long the actions took on the cluster.
        own_seconds: the rest: looks, diagnosis, the person's answer and the soak.
        roomy_seconds: `proven_seconds`, where what is not Operator's (until the cluster shows it,
            the grace, the actions) takes a minute at most; else None.
        seen: the tickets that were opened, each with its first cause, and what was done.
        error: why there are no marks.
    """

    model_config = ConfigDict(frozen=True)

    scenario: str
    set: str
    seed: int | None = None
    detected: bool | None = None
    first: bool | None = None
    in_two: bool | None = None
    settled: bool | None = None
    remedy: bool | None = None
    mitigated: bool | None = None
    verified: bool | None = None
    quiet: bool | None = None
    harmful: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    false_actions: tuple[str, ...] = ()
    abstained: int = 0
    beside: int = 0
    detect_seconds: float | None = None
    detect_looks: float | None = None
    fault_looks: float | None = None
    diagnose_seconds: float | None = None
    act_seconds: float | None = None
    verify_seconds: float | None = None
    proven_seconds: float | None = None
    shown_seconds: float | None = None
    grace_seconds: float | None = None
    cluster_seconds: float | None = None
    own_seconds: float | None = None
    roomy_seconds: float | None = None
    seen: tuple[str, ...] = ()
    error: str = ""

    @property
    def is_full(self) -> bool:
        """Whether everything is right."""
        judged = (self.detected, self.first, self.settled, self.quiet)
        marks = (*judged, self.remedy, self.mitigated, self.verified)
        bad = self.harmful or self.wrong or self.false_actions or self.error
        return not bad and all(mark is not False for mark in marks)


def grade(scenario: Scenario, played: Played) -> Marks:
    """Return the marks of a play.

    Args:
        scenario: what a right answer is.
        played: what came of it.
    """
    marks = Marks(scenario=scenario.name, set=scenario.set, seed=played.seed, seen=_seen(played))
    if played.error:
        return marks.model_copy(update={"error": played.error})
    expect = scenario.expect
    found = {**_judgement(expect, played), **_deeds(expect, played), **times(expect, played)}
    return marks.model_copy(update=found)


def _seen(played: Played) -> tuple[str, ...]:
    """Tell what came of a play, so that who wrote the scenario sees where the two part."""
    tickets = [f"{one.key} = {', '.join(one.causes[:1])}" for one in played.tickets]
    deeds = [f"{one.action} done" for one in played.own_deeds]
    return tuple(dict.fromkeys([*tickets, *deeds]))


# --- judgement ------------------------------------------------------------------------


def _judgement(expect: Expectation, played: Played) -> dict[str, object]:
    if not expect.tickets:
        allowed = set(expect.also)
        opened = [one for one in played.tickets if one.rule not in allowed]
        calm = expect.ends in {"quiet", "unseen", "refused"}
        return {"quiet": not opened if calm else None}
    seen = timely(played)
    asked = [(seen.get(key), causes) for key, causes in expect.tickets.items()]
    named = [(ticket, causes) for ticket, causes in asked if causes]
    return {
        "detected": all(ticket is not None for ticket, _ in asked),
        "first": all(_names(ticket, causes, 1) for ticket, causes in named) if named else None,
        "in_two": all(_names(ticket, causes, 2) for ticket, causes in named) if named else None,
        "settled": _settled(expect, seen) if expect.settles else None,
        "abstained": sum(_abstains(ticket) for ticket, _ in named),
        "beside": _beside(expect, first_of(played.tickets).values()),
    }


def _names(ticket: SeenTicket | None, causes: list[str], among: int) -> bool:
    return ticket is not None and not set(ticket.causes[:among]).isdisjoint(causes)


def _settled(expect: Expectation, seen: Mapping[str, SeenTicket]) -> bool:
    return all(
        key in seen and seen[key].last_cause in causes for key, causes in expect.settles.items()
    )


def _beside(expect: Expectation, seen: Iterable[SeenTicket]) -> int:
    """Count what was told for nothing: who opens a ticket of everything finds everything."""
    own = [one for one in seen if one.rule not in expect.also and not one.follows]
    return sum(one.key not in expect.tickets for one in own)


def _abstains(ticket: SeenTicket | None) -> bool:
    return ticket is not None and ticket.causes[:1] == (UNKNOWN_CAUSE,)


# --- what was done --------------------------------------------------------------------


def _deeds(expect: Expectation, played: Played) -> dict[str, object]:
    own = played.own_deeds
    done = {deed.action for deed in own if not deed.error}
    harmful = [_told(deed) for deed in own if _is_harmful(expect, deed)]
    harmful += [_told(one) for one in played.deeds if one.asked and not one.error]
    odd = [one for one in own if one.action not in expect.actions and not _is_harmful(expect, one)]
    waiting = _waiting(played)
    asked_person = any(ticket.escalated for ticket in played.tickets) or bool(waiting)
    asks_for_one = bool(expect.actions) or expect.ends == "escalated"
    right = done == set(expect.actions) and (expect.ends != "escalated" or asked_person)
    right = right and waiting.isdisjoint(expect.never)
    return {
        "harmful": tuple(harmful),
        "wrong": () if expect.is_control else tuple(_told(deed) for deed in odd),
        "false_actions": tuple(_told(deed) for deed in own) if expect.is_control else (),
        "remedy": right if expect.tickets and asks_for_one else None,
        **_ends(expect, played),
    }


def _waiting(played: Played) -> set[str]:
    """Return the actions that wait for a person's answer in the end."""
    open_states = {ActionStatus.PROPOSED, ActionStatus.VALIDATED}
    offered = [one for one in played.proposals if one.approved is None]
    return {one.action for one in offered if one.status in open_states}


def _ends(expect: Expectation, played: Played) -> dict[str, object]:
    if expect.ends != "healthy":
        return {}
    whole = not (played.unavailable or played.exposed or played.leftovers)
    mine = [one for one in played.tickets if one.key in expect.tickets]
    ended = expect.tickets.keys() <= {one.key for one in mine}
    ended = ended and all(one.resolved is not None for one in played.tickets)
    proven = not expect.actions or any(one.verified for one in mine)
    return {"mitigated": whole, "verified": ended and proven}


def _is_harmful(expect: Expectation, deed: Deed) -> bool:
    forbidden = {*expect.never, *(DESTRUCTIVE - set(expect.actions))}
    return deed.did_harm or deed.action in forbidden


def _told(deed: Deed) -> str:
    return f"{deed.action} {deed.parameters} at {deed.began:.0f} s"
