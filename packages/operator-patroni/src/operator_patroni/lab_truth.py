"""How a real cluster really is: asked from PostgreSQL and Patroni, not through Operator's eyes."""

import asyncio
from collections.abc import Collection, Iterator

from operator_core.clock import monotonic_seconds
from operator_core.errors import SubjectError
from operator_core.lab import Truth
from operator_patroni.cluster import LocalPatroniCluster
from operator_patroni.lab_faults import TABLE
from operator_patroni.shapes import Listed, View

_PASSING_SECONDS = 6.0
"""A change of leadership passes by itself: only what lasts longer is true."""
_AGAIN_SECONDS = 0.5
_IN_STEP_BYTES = 1024 * 1024


async def truth_of(cluster: LocalPatroniCluster, written: Collection[int]) -> Truth:
    """Say how the cluster is; what may pass by itself is looked at again for a moment.

    Args:
        cluster: which.
        written: the rows that PostgreSQL accepted.
    """
    end = monotonic_seconds() + _PASSING_SECONDS
    while True:
        found = await _look(cluster, written)
        if found.is_healthy or monotonic_seconds() > end:
            return found
        await asyncio.sleep(_AGAIN_SECONDS)


async def _look(cluster: LocalPatroniCluster, written: Collection[int]) -> Truth:
    """Look once: unavailable are rows that cannot be read and, as one more, writes."""
    everybody = len(cluster.names)
    try:
        view = await cluster.view()
    except SubjectError:
        return Truth(unavailable=len(written) + 1, exposed=everybody, leftovers=("no DCS",))
    leader = next((one for one in view.members if one.leads), None)
    copies = sum([_is_copy(one) and await _answers(cluster, one) for one in view.members])
    if leader is None:
        missing = len(written) + 1
    else:
        missing = await _missing(cluster, leader.name, written)
    return Truth(missing, everybody - copies, tuple(_left_over(view)))


def _is_copy(one: Listed) -> bool:
    """Return whether a member has what the leader has, and gets what is to come."""
    in_step = one.lag_bytes is not None and one.lag_bytes <= _IN_STEP_BYTES
    return one.state == "running" if one.leads else one.state == "streaming" and in_step


async def _answers(cluster: LocalPatroniCluster, one: Listed) -> bool:
    """Return whether its Patroni is there: the DCS keeps the last word of one that is not."""
    try:
        await cluster.client.node(cluster.endpoint(one.name))
    except SubjectError:
        return False
    return True


async def _missing(cluster: LocalPatroniCluster, leader: str, written: Collection[int]) -> int:
    """Return how many accepted rows the leader lacks, and one more where it takes no writes."""
    try:
        told = await cluster.query(leader, f"SELECT number FROM {TABLE}")  # noqa: S608 - fixed words
        taken = await cluster.query(leader, "SELECT pg_is_in_recovery()")
    except (SubjectError, TimeoutError):
        return len(written) + 1
    there = {int(line) for line in told.splitlines()}
    return len(set(written) - there) + (taken != "f")


def _left_over(view: View) -> Iterator[str]:
    if view.pause:
        yield "the cluster is paused"
    for one in view.members:
        if one.pending_restart:
            yield f"{one.name} waits for a restart"
        for tag in sorted(one.tags):
            yield f"{one.name} has the tag {tag}"
