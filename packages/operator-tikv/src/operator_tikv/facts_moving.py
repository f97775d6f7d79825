"""Pure functions from PD's operators and hot regions to the data of parts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from operator_core.types import JsonObject
from operator_tikv.pd.operators import OperatorText
from operator_tikv.watched import HotPeer, HotPeers, HotRegions

LISTED_OPERATORS: Final = 50
LISTED_HOT: Final = 5


def operator_facts(operators: Sequence[OperatorText], now: datetime | None) -> JsonObject:
    """Return the data of the part `operators`: what PD is doing, the oldest first.

    ``age_seconds`` is None where PD does not print when it began.

    Args:
        operators: what PD printed.
        now: PD's time.
    """
    listed = sorted(
        (_operator(one, now) for one in operators),
        key=lambda one: (-(one["age_seconds"] or 0.0), one["region_id"]),
    )
    return {"count": len(operators), "list": listed[:LISTED_OPERATORS]}


def _operator(operator: OperatorText, now: datetime | None) -> JsonObject:
    created, age = operator.created, None
    if created is not None and now is not None:
        age = round(max(0.0, (now - created).total_seconds()), 3)
    return {
        "name": operator.name,
        "region_id": operator.region_id,
        "step": operator.step,
        "age_seconds": age,
        "adds_to_store": operator.adds_to_store,
    }


def hot_facts(by_kind: Mapping[str, HotRegions | None]) -> JsonObject:
    """Return the data of the part `hotspots`: the regions that PD calls hot, the hottest first.

    Kind (``write``, ``read``) → ``count`` and ``regions`` (``region_id``, ``leader_store_id``,
    ``store_ids``, ``flow_bytes_per_second``, ``hot_degree``). ``is_listed`` is false where PD
    named too many of them to be read.

    Args:
        by_kind: what PD answered; None: more than is read.
    """
    return {kind: _hot_of(found) for kind, found in by_kind.items()}


def _hot_of(found: HotRegions | None) -> JsonObject:
    if found is None:
        return {"is_listed": False, "count": 0, "regions": []}
    peers = sorted(
        ((int(key), peer) for key, peer in _peers(found.as_leader)),
        key=lambda one: (-one[1].flow_bytes, one[1].region_id),
    )
    return {
        "is_listed": True,
        "count": len(peers),
        "regions": [
            {
                "region_id": peer.region_id,
                "leader_store_id": store_id,
                "store_ids": sorted({store_id, *peer.stores}),
                "flow_bytes_per_second": round(peer.flow_bytes, 1),
                "hot_degree": peer.hot_degree,
            }
            for store_id, peer in peers[:LISTED_HOT]
        ],
    }


def _peers(by_store: Mapping[str, HotPeers]) -> Iterable[tuple[str, HotPeer]]:
    return (
        (key, peer)
        for key, one in by_store.items()
        if key.isascii() and key.isdigit()
        for peer in one.statistics
    )
