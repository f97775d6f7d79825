"""A day without a control plane that can be trusted: nothing is scaled, replaced, moved or deleted.

The whole loop runs in the mode execute, under the shipped policy with everything allowed that is
not dangerous by itself. What a hasty healer would do is proposed besides, so that only the gate
stands between it and the cluster.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from loop_kit import Loop, loop
from operator_core.actions.policy import shipped_policy
from operator_core.actions.types import ActionStatus

HOUR = 3600.0
CLUSTER = {"name": "blind", "cluster": {"stores": 5, "regions": 24}, "duration": "30h"}
HASTY: dict[str, dict[str, Any]] = {
    "delete_store": {"store_id": 3},
    "drain_store": {"store_id": 2},
    "grant_leaders": {"store_id": 1},
    "add_peer": {"region_id": 2, "store_id": 5},
    "remove_peer": {"region_id": 2, "store_id": 1},
    "set_replication_config": {"item": "max-replicas", "value": "5"},
    "set_placement_rules": {"rules": []},
    "unsafe_remove_failed_stores": {"store_ids": [3]},
    "delete_pd_member": {"name": "pd-2", "member_id": "2"},
    "remove_tombstones": {},
}
"""Scale-outs, replacements, evictions and deletes."""


def permissive() -> str:
    """The shipped policy, with everything allowed at once that is not dangerous by itself."""
    shipped = shipped_policy()
    head, _, rest = shipped.partition('name = "everything else"')
    _, _, tail = rest.partition("# A remedy that did not help")
    allowed = f'{head}name = "everything else"\neffect = "auto"\n# A remedy that did not help{tail}'
    return allowed.replace("version = 1", 'version = 1\nunknown_blast = "as ruled"', 1)


# --- ways to lose the control plane -------------------------------------------------------


def gone(one: Loop) -> None:
    one.veil.gone = True


def half_read(one: Loop) -> None:
    """PD answers for its members and configuration, and neither for stores nor regions."""
    one.veil.unread = ("/stores", "/regions", "/schedulers")


def minority(one: Loop) -> None:
    """One member of three is seen; it still answers from what it remembers."""
    one.veil.instead["/health"] = _changed(one, "/health", _one_of_three)


def frozen(one: Loop) -> None:
    """Something between answers for PD, with what it said once."""
    one.veil.frozen = True


def contradicting(one: Loop) -> None:
    """PD calls three stores dead that answer by themselves."""
    one.veil.instead["/stores"] = _changed(one, "/stores", _three_dead)


def _one_of_three(members: Any) -> Any:  # noqa: ANN401 - JSON of PD
    return [{**member, "health": index == 0} for index, member in enumerate(members)]


def _three_dead(answer: Any) -> Any:  # noqa: ANN401 - JSON of PD
    for entry in answer["stores"]:
        if entry["store"]["id"] in {3, 4, 5}:
            entry["store"]["state_name"] = "Down"
            entry["status"]["last_heartbeat_ts"] = "2025-01-01T00:00:00Z"
    return answer


def _changed(
    one: Loop, path: str, change: Callable[[Any], Any]
) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    async def answer(request: httpx.Request) -> httpx.Response:
        told = await one.veil.site.handle_async_request(request)
        found = json.loads(await told.aread())
        tombs = request.url.params.get("state") == "2"
        return httpx.Response(told.status_code, json=found if tombs else change(found))

    return answer


# --- the day ------------------------------------------------------------------------------


async def tempted(one: Loop) -> list[int]:
    """Propose all that is hasty, for the ticket that is open, if one is."""
    tickets = await one.tickets.list_tickets(unresolved=True)
    ticket_id = tickets[0].id if tickets else None
    return [await one.propose(name, ticket_id, **given) for name, given in HASTY.items()]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("way", [gone, half_read, minority, frozen, contradicting])
async def test_nothing_is_done_in_a_day_of_blindness(way: Callable[[Loop], None]) -> None:
    async with loop(CLUSTER, permissive()) as one:
        way(one)
        await one.play(120, 60)
        proposed = await tempted(one)
        await one.play(24 * HOUR, 6 * HOUR)
        assert one.done == []
        assert one.veil.effects == []
        states = [(await one.proposal(each)).status for each in proposed]
        assert set(states) <= {ActionStatus.VALIDATED, ActionStatus.CANCELLED}
        assert ActionStatus.VALIDATED in states, "all refused early: the gate was not asked"


@pytest.mark.timeout(60)
async def test_afterwards_work_goes_on_as_before() -> None:
    async with loop(CLUSTER, permissive()) as one:
        gone(one)
        await one.play(120, 60)
        proposed = await tempted(one)
        await one.play(6 * HOUR, 3 * HOUR)
        one.veil.lift()
        await one.play(600, 200)
        assert one.done == [], "what was meant for the blind hours is not done after them"
        states = {(await one.proposal(each)).status for each in proposed}
        assert states == {ActionStatus.CANCELLED}
        eviction = {"name": "evict-leader-scheduler", "store_id": 2}
        await one.by_hand("POST", "/schedulers", eviction)
        await one.play(2000, 150)
        assert one.done == ["undrain_store"]
        assert await one.tickets.list_tickets(unresolved=True) == []


@pytest.mark.timeout(60)
async def test_what_an_action_does_not_need_may_be_unread() -> None:
    async with loop(CLUSTER, permissive()) as one:
        one.veil.unread = ("/hotspot", "/gc", "/stores/progress", "/config/rules")
        await one.by_hand("POST", "/schedulers", {"name": "evict-leader-scheduler", "store_id": 2})
        await one.play(1200, 150)
        assert one.done == ["undrain_store"]
        assert one.veil.effects == ["DELETE /schedulers/evict-leader-scheduler-2"]
