"""What a TiKV cluster has that no remedy may cost it unsaid."""

from operator_core.monitor.types import Observation
from operator_core.monitor.verification import Capacity

_LEAVING = ("Offline", "Tombstone")


def capacity_of(observation: Observation) -> Capacity | None:
    """Return stores, PD members and replicas; None: one of them was not read.

    A store that is down belongs to the cluster; one that is on its way out does not.
    """
    if not observation.sees(("stores", "pd", "config")):
        return None
    stores, pd = observation.data("stores"), observation.data("pd")
    staying = [key for key, store in stores.items() if store["state_name"] not in _LEAVING]
    replicas = observation.data("config").get("max_replicas")
    return Capacity(
        members={"stores": tuple(sorted(staying)), "pd_members": tuple(sorted(pd["members"]))},
        amounts={} if replicas is None else {"max_replicas": float(replicas)},
    )
