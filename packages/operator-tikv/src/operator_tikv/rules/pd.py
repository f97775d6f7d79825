"""Rules about PD's members and its leader."""

from collections.abc import Iterator
from typing import Final

from operator_core.monitor.types import Invariant, Observation, Violation
from operator_core.types import Severity
from operator_tikv.rules.words import Given, found, rule

PD: Final = "pd"


def check_pd_no_leader(observation: Observation, given: Given) -> Iterator[Violation]:
    """PD without a leader: no timestamps, so no transactions, and no repair."""
    del given
    pd = observation.data("pd")
    if not pd["has_leader"]:
        message = (
            f"PD has no leader; {pd['healthy_member_count']} of "
            f"{pd['member_count']} members are healthy."
        )
        metrics = {key: value for key, value in pd.items() if key != "members"}
        yield found("pd_no_leader", PD, message, Severity.CRITICAL, metrics)


def check_pd_member_down(observation: Observation, given: Given) -> Iterator[Violation]:
    """A PD member that the others cannot reach."""
    del given
    pd = observation.data("pd")
    spare = pd["healthy_member_count"] - (pd["member_count"] // 2 + 1)
    severity = Severity.WARNING if spare > 0 else Severity.CRITICAL
    for name in pd.get("unhealthy_members", ()):
        message = (
            f"PD member {name} does not answer; {pd['healthy_member_count']} of "
            f"{pd['member_count']} are healthy, and {max(0, spare)} more may fail."
        )
        yield found("pd_member_down", f"pd-{name}", message, severity, {"member": name})


def check_pd_leader_flapping(observation: Observation, given: Given) -> Iterator[Violation]:
    """PD's leader changes again and again; one change is an election or a person."""
    pd = observation.data("pd")
    changes = pd.get("leader_changes", 0)
    if changes > given["most_changes"]:
        minutes = pd.get("leader_window_seconds", 600.0) / 60
        message = (
            f"PD's leader changed {changes} times in {minutes:.0f} min; it is now "
            f"{pd['leader'] or 'nobody'}. Look at the disks, the CPU and the network of PD."
        )
        metrics = {"leader_changes": changes, "leader": pd["leader"]}
        yield found("pd_leader_flapping", PD, message, metrics=metrics)


PD_RULES: Final[tuple[Invariant, ...]] = (
    rule(check_pd_no_leader, "pd_no_leader", ["pd"], 10, 10),
    rule(check_pd_member_down, "pd_member_down", ["pd"], 30),
    rule(check_pd_leader_flapping, "pd_leader_flapping", ["pd"], 0, 60, most_changes=1.0),
)
