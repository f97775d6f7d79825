"""A deterministic TiKV cluster under PD, served over PD's own HTTP API.

The core is a discrete-event model with a virtual clock in seconds and one injected
random source. HTTP, real time and files are added at the rim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from operator_tikv.simulator.bootstrap import ClusterSpec
from operator_tikv.simulator.cluster import SimulatedCluster

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["ClusterSpec", "SimulatedCluster", "create_app"]


def create_app(cluster: SimulatedCluster) -> Starlette:
    """Serve a simulated cluster as an ASGI application; time moves only through `/sim/advance`.

    Args:
        cluster: the cluster that answers; the caller's event loop owns it.
    """
    from operator_tikv.simulator.server import create_app as create  # noqa: PLC0415 keeps the core importable without a web framework

    return create(cluster)
