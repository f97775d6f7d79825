"""A restart of PD that somebody planned is no incident; any other one is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from operator_tikv.pd.types import Member
from operator_tikv.pd_restarts import PdRestarts

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("pd-0", "pd-1", "pd-2")
FIVE_MINUTES = 300


def seen(
    restarts: Sequence[tuple[int, str]],
    *,
    until: int,
    leaders: dict[int, str] | None = None,
    upgraded: Sequence[str] = (),
) -> list[str]:
    """Look every 30 s at members that began anew when this says; return whose restart is planned.

    Args:
        restarts: when who began anew, in seconds.
        until: the last look.
        leaders: who leads from when on; pd-0 at first.
        upgraded: who runs another version from its restart on.
    """
    found, planned = PdRestarts(), []
    leads = {0: "pd-0", **(leaders or {})}
    for now in range(0, until + 1, 30):
        leader = leads[max(at for at in leads if at <= now)]
        counts = {
            name: float(sum(who == name and 0 <= now - at < FIVE_MINUTES for at, who in restarts))
            for name in NAMES
        }
        newer = {who for at, who in restarts if at <= now and who in upgraded}
        members = [
            Member(name=name, binary_version="v8.5.7" if name in newer else "v8.1.0", health=True)
            for name in NAMES
        ]
        found = found.with_look(members, leader, counts, float(now))
        planned = found.planned(len(NAMES), float(now))
    return planned


def test_a_follower_that_begins_anew_alone_is_told_after_three_minutes() -> None:
    assert seen([(60, "pd-2")], until=210) == ["pd-2"]
    assert seen([(60, "pd-2")], until=240) == []


def test_a_leader_that_begins_anew_alone_is_told_at_once() -> None:
    assert seen([(70, "pd-0")], until=90, leaders={90: "pd-1"}) == []


@pytest.mark.parametrize("until", [90, 150, 210, 270, 330])
def test_members_restarted_in_turn_are_not_told_the_leader_last(until: int) -> None:
    turns = [(60, "pd-2"), (120, "pd-1"), (200, "pd-0")]
    begun = sorted(who for at, who in turns if at <= until)
    assert seen(turns, until=until, leaders={200: "pd-1"}) == begun


@pytest.mark.parametrize("until", [630, 720, 840, 930])
def test_what_was_planned_stays_so_while_it_is_read(until: int) -> None:
    turns = [(60, "pd-2"), (330, "pd-1"), (600, "pd-0")]
    assert {"pd-0", "pd-1"} <= set(seen(turns, until=until, leaders={600: "pd-1"}))


def test_a_leader_that_goes_before_the_others_is_told() -> None:
    turns = [(60, "pd-2"), (120, "pd-0")]
    assert "pd-0" not in seen(turns, until=180, leaders={120: "pd-1"})


def test_a_leadership_that_was_handed_over_makes_a_follower_of_its_member() -> None:
    turns = [(60, "pd-2"), (150, "pd-0")]
    assert seen(turns, until=180, leaders={120: "pd-1"}) == ["pd-0", "pd-2"]


def test_all_members_that_begin_anew_at_once_are_told() -> None:
    assert seen([(60, name) for name in NAMES], until=90) == []


def test_an_upgrade_is_planned_whoever_leads() -> None:
    upgrade = seen([(70, "pd-0")], until=300, leaders={90: "pd-1"}, upgraded=["pd-0"])
    assert upgrade == ["pd-0"]


@pytest.mark.parametrize("again", [130, 390])
def test_a_member_that_begins_anew_twice_is_told(again: int) -> None:
    turns = [(60, "pd-2"), (again, "pd-2")]
    assert seen(turns, until=again + 30) == []
    assert seen(turns, until=again + 30, upgraded=["pd-2"]) == []


def test_what_was_long_ago_excuses_nobody() -> None:
    assert seen([(60, "pd-2"), (720, "pd-1")], until=930) == []
