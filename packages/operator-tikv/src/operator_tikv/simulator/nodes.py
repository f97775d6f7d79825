"""The processes of the cluster by name, and whether and what each of them answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operator_tikv.simulator import pd_page, tikv_page

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World


class NodeError(Exception):
    """A process that does not exist, or that does not answer."""


def names(world: World) -> list[str]:
    """The names of all processes: PD's servers, then the stores as `store-N`."""
    members = [member.name for member in world.pd.members]
    return members + [store.node for store in world.stores.values()]


def metrics_text(world: World, node: str) -> str:
    """Print what the `/metrics` of a process says.

    Args:
        world: the simulation.
        node: its name.

    Raises:
        NodeError: there is no such process, or it does not answer.
    """
    if node in world.pd.states:
        if node in world.pd.stopped_members | world.pd.hung_members:
            raise NodeError(f"{node} does not answer")
        return pd_page.page(world, node)
    return tikv_page.page(world, answering_store(world, node))


def answering_store(world: World, node: str) -> Store:
    """Find the store of a name.

    Raises:
        NodeError: there is none, or its process or its status port does not answer.
    """
    found = next((s for s in world.stores.values() if s.node == node), None)
    if found is None:
        raise NodeError(f"there is no node {node!r}")
    if not found.process.alive:
        raise NodeError(f"{node} does not answer")
    if not found.ailments.status_port_open:
        raise NodeError(f"nobody reaches the status port of {node}")
    return found


def spokesman(world: World) -> str:
    """The PD server that answers where none is named: the leader, else one that is healthy.

    Raises:
        NodeError: no server answers.
    """
    if world.pd.has_leader:
        return world.pd.leader_name
    bad = world.pd.stopped_members | world.pd.hung_members
    living = [member.name for member in world.pd.members if member.name not in bad]
    if not living:
        raise NodeError("no PD server answers")
    return living[0]
