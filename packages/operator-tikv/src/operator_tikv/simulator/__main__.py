"""`python -m operator_tikv.simulator`: the simulator as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from operator_core.clock import utc_now
from operator_tikv.simulator.bootstrap import ClusterSpec
from operator_tikv.simulator.cluster import SimulatedCluster
from operator_tikv.simulator.journal import Journal, JournalError, replay
from operator_tikv.simulator.realtime import HOST, listen, listen_for_nodes, serve
from operator_tikv.simulator.scenario import ScenarioError, load_scenario
from operator_tikv.simulator.scenario import build as build_scenario


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m operator_tikv.simulator",
        description="Serve a simulated TiKV cluster over PD's HTTP API on 127.0.0.1. "
        'Prints {"url": ...} as one line of JSON when it is ready.',
    )
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose one")
    parser.add_argument("--seed", type=int, default=7, help="of every random choice")
    parser.add_argument("--stores", type=int, default=4, help="how many TiKV stores")
    parser.add_argument("--regions", type=int, default=60, help="how many regions")
    parser.add_argument("--tiflash-stores", type=int, default=0, help="how many TiFlash stores")
    parser.add_argument("--capacity-gib", type=int, default=200, help="disk of a store in GiB")
    parser.add_argument("--speed", type=float, default=1.0, help="virtual seconds a real second")
    parser.add_argument(
        "--epoch", type=float, help="Unix seconds at virtual time zero (default: now)"
    )
    parser.add_argument(
        "--exit-with-parent", type=int, default=0, metavar="PID", help="stop when PID is gone"
    )
    parser.add_argument(
        "--state-file",
        type=Path,
        help="keep every change here and go on from it after a restart (then the size, seed and "
        "epoch in it hold)",
    )
    parser.add_argument(
        "--scenario", type=Path, help="a TOML file with a cluster, its load and its timed faults"
    )
    return parser.parse_args(arguments)


def build(options: argparse.Namespace) -> tuple[SimulatedCluster, Journal | None]:
    """Build the cluster, or rebuild the one that the state file describes.

    Raises:
        ValueError: the numbers do not fit together.
        JournalError: the state file holds something else.
        ScenarioError: the scenario is not right.
        OSError: the state file cannot be read or written.
    """
    if options.scenario is not None:
        return _from_scenario(options), None
    epoch = utc_now().timestamp() if options.epoch is None else options.epoch
    spec = ClusterSpec(
        seed=options.seed,
        stores=options.stores,
        regions=options.regions,
        tiflash_stores=options.tiflash_stores,
        capacity_gib=options.capacity_gib,
        epoch_unix_seconds=epoch,
    )
    if options.state_file is None:
        return SimulatedCluster(spec=spec), None
    journal = Journal(options.state_file)
    found = journal.read()
    if found is None:
        cluster = SimulatedCluster(spec=spec)
        journal.begin(spec)
        return cluster, journal
    cluster = SimulatedCluster(spec=found[0])
    replay(cluster, found[1])
    return cluster, journal


def _from_scenario(options: argparse.Namespace) -> SimulatedCluster:
    """The seed and the size are the scenario's; it begins now."""
    if options.state_file is not None:
        raise ScenarioError("choose --scenario or --state-file: a state file has no scenario in it")
    scenario = load_scenario(options.scenario)
    epoch = utc_now().timestamp() if options.epoch is None else options.epoch
    part = scenario.cluster.model_copy(update={"epoch_unix_seconds": epoch})
    return build_scenario(scenario.model_copy(update={"cluster": part}))


def main(arguments: list[str]) -> int:
    """Run until SIGTERM; returns the exit status.

    Args:
        arguments: the command line without the program.
    """
    options = parse(arguments)
    try:
        cluster, journal = build(options)
        listener = listen(options.port)
        listeners = [listener, *listen_for_nodes(cluster)]
    except (ValueError, OSError, OverflowError, JournalError, ScenarioError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    cluster.world.client_url = url

    def announce() -> None:
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()

    running = serve(
        cluster,
        listeners,
        speed=options.speed,
        announce=announce,
        parent_pid=options.exit_with_parent,
        journal=journal,
    )
    asyncio.run(running)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
