"""How much faster than real time the TiKV simulator runs, and in how much memory.

    python -m benchmarks.simulator --stores 100 --regions 200000

Seconds are those of the processor, so that a busy machine does not blur the ratio.
"""

import argparse
import resource
import sys
import time
from typing import Final

from operator_tikv.simulator import ClusterSpec, SimulatedCluster

TARGET_RATIO: Final = 50.0
TARGET_MIB: Final = 2048.0
_KIB: Final = 1024.0

PHASES: Final[list[tuple[str, str, dict[str, object], float]]] = [
    ("idle", "", {}, 600.0),
    ("PD fail-over", "pd_stop", {}, 600.0),
    ("a store is lost, until it is Down", "stop", {"stores": [5]}, 1800.0),
    ("its replicas are made anew", "", {}, 1800.0),
]


def peak_mib() -> float:
    """Return the most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB


def run(stores: int, regions: int) -> bool:
    """Run all phases, print a line for each, and return whether the targets are met."""
    spec = ClusterSpec(stores=stores, regions=regions, capacity_gib=2000)
    start = time.process_time()
    cluster = SimulatedCluster(spec=spec)
    _line("build", f"{time.process_time() - start:8.1f} s")
    spent = virtual = 0.0
    for name, fault, fields, duration_seconds in PHASES:
        if fault:
            cluster.begin_fault(fault, **fields)
        before = cluster.world.queue.scheduled
        start = time.process_time()
        cluster.advance(duration_seconds)
        seconds = time.process_time() - start
        spent, virtual = spent + seconds, virtual + duration_seconds
        events = cluster.world.queue.scheduled - before
        _line(name, f"{duration_seconds / seconds:8.0f} times real time, {events} events")
    _line("all", f"{virtual / spent:8.0f} times real time, {peak_mib():.0f} MiB at most")
    return virtual / spent >= TARGET_RATIO and peak_mib() < TARGET_MIB


def _line(name: str, text: str) -> None:
    sys.stdout.write(f"{name:36}{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Read the command line; the exit status is 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=100)
    parser.add_argument("--regions", type=int, default=200_000)
    options = parser.parse_args()
    return 0 if run(options.stores, options.regions) else 1


if __name__ == "__main__":
    sys.exit(main())
