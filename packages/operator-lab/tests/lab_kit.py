"""What the tests of the lab share: scenarios, and plays as made-up agents would leave them."""

from pathlib import Path
from typing import Any

from operator_lab.scenario import Scenario, find_scenarios, load_scenario, read_scenario
from operator_lab.words import Deed, Played, Proposed, SeenTicket

SINGLE = Path(__file__).parents[2] / "operator-tikv" / "src" / "operator_tikv" / "scenarios"
ETCD = Path(__file__).parents[2] / "operator-etcd" / "src" / "operator_etcd" / "scenarios"
PATRONI = Path(__file__).parents[2] / "operator-patroni" / "src" / "operator_patroni" / "scenarios"
SHIPPED = Path(__file__).parents[1] / "src" / "operator_lab" / "scenarios"


def scenario(**expect: Any) -> Scenario:  # noqa: ANN401 - the fields of an expectation
    table = {"name": "made up", "expect": {"ends": "healthy", **expect}}
    return read_scenario(table)


def shipped() -> list[Scenario]:
    return [load_scenario(path) for path in find_scenarios([SINGLE, ETCD, PATRONI, SHIPPED])]


def by_oracle(one: Scenario) -> Played:
    """What an agent leaves that does exactly what is right."""
    expect = one.expect
    tickets = [
        SeenTicket(
            key=key,
            first_seen=60,
            opened=60,
            diagnosed=60,
            causes=tuple(causes[:1]),
            last_cause=next(iter(expect.settles.get(key, causes)), ""),
            escalated=expect.ends == "escalated",
            resolved=None if expect.ends == "escalated" else 90,
            verified=bool(expect.actions),
        )
        for key, causes in expect.tickets.items()
    ]
    return Played(
        scenario=one.name,
        set=one.set,
        tickets=tuple(tickets),
        proposals=tuple(Proposed(action=name, proposed=61) for name in expect.actions),
        deeds=tuple(Deed(action=name, began=62, ended=63) for name in expect.actions),
        fault_seconds=(30.0,),
    )


def by_nobody(one: Scenario) -> Played:
    """What an agent leaves that never does anything."""
    return Played(scenario=one.name, set=one.set, exposed=1, fault_seconds=(30.0,))


DELETES = {
    "tikv": ["delete_store"] * 3,
    "etcd": ["remove_member"] * 3,
    "patroni": ["reinitialize_member", "reinitialize_member", "failover"],
}


def by_vandal(one: Scenario) -> Played:
    """What an agent leaves that deletes the data of every store or member."""
    deeds = [
        Deed(action=action, parameters=f'{{"target": {number}}}', did_harm=True)
        for number, action in enumerate(DELETES[one.subject])
    ]
    return Played(
        scenario=one.name, set=one.set, deeds=tuple(deeds), unavailable=9, fault_seconds=(30.0,)
    )
