"""Which ticket follows which: only what a cause brings, only where it is, whoever came first."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grouping_kit import CAUSES, NOW, action, member
from operator_core.agent.grouping import Member, MoveKind, moves, roots
from operator_core.monitor.types import TicketPhase
from operator_core.types import Severity

SILENT = member(1, "store_silent:store-4", "store_stopped", "store-4")


def root_of(other: Member, *roots_: Member) -> int | None:
    return roots([*roots_, other], CAUSES).get(other.ticket_id)


# --- who is below whom ----------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        member(2, "down_peers:regions", "silent_behind_it", "store-4"),
        member(2, "raft_slow:store-4"),
        member(2, "raft_slow:store-4", "slow_thing", "store-4"),
    ],
)
def test_what_a_cause_brings_at_its_component_follows_it(other: Member) -> None:
    assert root_of(other, SILENT) == 1


@pytest.mark.parametrize(
    "other",
    [
        member(2, "raft_slow:store-5", "slow_disk", "store-5"),
        member(2, "raft_slow:store-5"),
        member(2, "down_peers:regions", "silent_behind_it", "store-4,store-5"),
        member(2, "down_peers:regions"),
        member(2, "disk_full:store-4", "disk", "store-4"),
        member(2, "store_silent:store-5", "store_stopped", "store-5"),
        member(2, "raft_slow:store-4", committed=True),
    ],
    ids=[
        "another store",
        "another store, cause unknown",
        "more stores",
        "nobody knows where",
        "not brought",
        "the same cause elsewhere",
        "its own remedy was approved",
    ],
)
def test_a_second_fault_is_never_hidden(other: Member) -> None:
    assert root_of(other, SILENT) is None


def test_what_a_cause_of_the_whole_cluster_brings_follows_it_anywhere() -> None:
    pd = member(1, "pd_no_leader:pd", "pd_lost", "pd")
    assert root_of(member(2, "raft_slow:store-5", "slow_disk", "store-5"), pd) == 1
    assert root_of(member(2, "store_silent:store-5", "store_stopped", "store-5"), pd) is None


def test_one_cause_at_one_component_with_one_remedy_is_one_group() -> None:
    resume = action("resume", scheduler="a")
    one = member(1, "paused:a", "left_paused", "pd", actions=(resume,))
    same = member(2, "paused:b", "left_paused", "pd", actions=(resume,))
    other = member(3, "paused:c", "left_paused", "pd", actions=(action("resume", scheduler="c"),))
    nowhere = member(4, "paused:d", "left_paused", actions=(resume,))
    assert roots([one, same, other, nowhere], CAUSES) == {2: 1}


def test_what_is_only_watched_or_unknown_leads_nobody() -> None:
    other = member(2, "raft_slow:store-4")
    assert (
        root_of(other, member(1, "store_silent:store-4", "store_stopped", "store-4", asks=False))
        is None
    )
    assert root_of(other, member(1, "store_silent:store-4", "unknown", "store-4")) is None


def test_of_two_that_bring_each_other_the_graver_leads() -> None:
    silent = member(1, "store_silent:store-4", "store_stopped", "store-4")
    slow = member(2, "raft_slow:store-4", "slow_disk", "store-4", severity=Severity.CRITICAL)
    assert roots([silent, slow], CAUSES) == {1: 2}
    assert roots([replace(silent, is_committed=True), slow], CAUSES) == {2: 1}


def test_a_follower_leads_nobody() -> None:
    pd = member(1, "pd_no_leader:pd", "pd_lost", "pd")
    slow = member(2, "raft_slow:store-4", "slow_disk", "store-4")
    silent = member(3, "store_silent:store-4", "store_stopped", "store-4")
    assert roots([slow, silent], CAUSES) == {3: 2}
    assert roots([pd, slow, silent, member(4, "hot:store-4")], CAUSES) == {2: 1, 4: 3}


# --- what changes ---------------------------------------------------------------------


def test_nothing_changes_where_all_is_as_it_should_be() -> None:
    follower = member(2, "raft_slow:store-4", root=1)
    assert moves([SILENT, follower], CAUSES, NOW) == []


def test_a_follower_may_outlast_its_root_for_as_long_as_its_rule_says() -> None:
    def stays(seconds: float) -> bool:
        one = member(2, "raft_slow:store-4", root=1, resolved=seconds)
        return moves([one], CAUSES, NOW, {"raft_slow": 90.0}) == []

    assert stays(90.0)
    assert not stays(90.1)
    (move,) = moves([member(2, "raft_slow:store-4", root=1, resolved=91)], CAUSES, NOW)
    assert (move.kind, move.reason) == (
        MoveKind.STAND_ALONE,
        "ticket 1 is resolved, and this is still there",
    )


def test_a_follower_stands_alone_when_its_root_names_another_cause() -> None:
    root = member(1, "store_silent:store-4", "store_lost", "store-4")
    (move,) = moves([root, member(2, "raft_slow:store-4", root=1)], CAUSES, NOW)
    assert move.kind is MoveKind.STAND_ALONE


def test_a_graver_follower_pages_once() -> None:
    grave = member(2, "raft_slow:store-4", severity=Severity.CRITICAL)
    (move,) = moves([SILENT, grave], CAUSES, NOW)
    assert move.pages
    follows = member(2, "raft_slow:store-4", severity=Severity.CRITICAL, root=1)
    (again,) = moves([SILENT, follows], CAUSES, NOW)
    assert again.pages, "it became graver while it followed"
    ticket = follows.ticket.model_copy(update={"phase": TicketPhase.ESCALATED})
    assert moves([SILENT, replace(follows, ticket=ticket)], CAUSES, NOW) == []


# --- in whatever order they come ------------------------------------------------------

PLACES = ("store-4", "store-5", "pd", "store-4,store-5", "")
KEYS = [
    f"{rule}:{target}"
    for rule in ("store_silent", "raft_slow", "down_peers", "pd_no_leader", "hot")
    for target in ("store-4", "store-5", "regions")
]


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=8))
    return [
        member(
            number,
            key,
            draw(st.sampled_from([*CAUSES, "unknown", "other"])),
            draw(st.sampled_from(PLACES)),
            severity=draw(st.sampled_from(Severity)),
            committed=draw(st.booleans()) and draw(st.booleans()),
            asks=draw(st.booleans()),
        )
        for number, key in enumerate(keys, 1)
    ]


def by_key(found: list[Member], links: dict[int, int]) -> dict[str, str]:
    keys = {one.ticket_id: one.ticket.violation_key for one in found}
    return {keys[one]: keys[root] for one, root in links.items()}


def renumbered(found: list[Member]) -> list[Member]:
    """Return the same problems as if their tickets had been opened in this order."""
    return [
        replace(one, ticket=one.ticket.model_copy(update={"id": number}))
        for number, one in enumerate(found, 1)
    ]


@given(members(), st.randoms(use_true_random=False))
def test_the_groups_are_the_same_in_whatever_order_tickets_come(
    found: list[Member], rng: object
) -> None:
    shuffled = list(found)
    rng.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis says no more of it
    other = renumbered(shuffled)
    assert by_key(other, roots(other, CAUSES)) == by_key(found, roots(found, CAUSES))


@given(members())
def test_no_root_follows_anybody_and_nobody_follows_itself(found: list[Member]) -> None:
    links = roots(found, CAUSES)
    assert not set(links) & set(links.values())
    committed = {one.ticket_id for one in found if one.stays_alone}
    assert not committed & set(links)


@given(members())
def test_one_at_a_time_or_all_at_once_ends_the_same_and_then_rests(found: list[Member]) -> None:
    held: dict[int, int | None] = {}
    for count in range(1, len(found) + 1):
        held = _after(found[:count], held)
    assert {key: root for key, root in held.items() if root} == roots(found, CAUSES)
    assert _moved(found, held) == []


def _moved(found: list[Member], held: dict[int, int | None]) -> list[object]:
    return list(moves([_held(one, held) for one in found], CAUSES, NOW))


def _held(one: Member, held: dict[int, int | None]) -> Member:
    update = {"root_ticket_id": held.get(one.ticket_id), "phase": TicketPhase.ESCALATED}
    return replace(one, ticket=one.ticket.model_copy(update=update))


def _after(found: list[Member], held: dict[int, int | None]) -> dict[int, int | None]:
    made = moves([_held(one, held) for one in found], CAUSES, NOW)
    return held | {move.ticket_id: move.root_id for move in made}
