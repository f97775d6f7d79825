"""What holds on a healthy cluster under Patroni, and how long it may be otherwise."""

from operator_core.monitor.types import Invariant
from operator_patroni import rules
from operator_patroni.model import NEEDS
from operator_patroni.rules import LAG_BYTES

INVARIANTS = (
    Invariant(
        name="no_primary",
        description="A member takes writes",
        check=rules.no_primary,
        needs=NEEDS,
        grace_seconds=10.0,
        clear_seconds=10.0,
    ),
    Invariant(
        name="two_primaries",
        description="At most one member takes writes",
        check=rules.two_primaries,
        needs=("nodes",),
        grace_seconds=3.0,
        clear_seconds=30.0,
    ),
    Invariant(
        name="no_failover_candidate",
        description="Somebody could take over from the primary",
        check=rules.no_failover_candidate,
        needs=NEEDS,
        grace_seconds=30.0,
        clear_seconds=15.0,
    ),
    Invariant(
        name="member_down",
        description="The Patroni of every member answers",
        check=rules.member_down,
        needs=("nodes",),
        grace_seconds=15.0,
        clear_seconds=15.0,
    ),
    Invariant(
        name="postgres_down",
        description="The PostgreSQL of every member runs",
        check=rules.postgres_down,
        needs=("nodes",),
        # Patroni starts what crashed within one turn of its loop, of 10 s where nobody set it.
        grace_seconds=20.0,
        clear_seconds=15.0,
        unseen=rules.brought_elsewhere,
    ),
    Invariant(
        name="replica_lag",
        description="No replica is far behind",
        check=rules.replica_lag({"lag_bytes": LAG_BYTES}),
        needs=NEEDS,
        grace_seconds=60.0,
        clear_seconds=30.0,
        thresholds={"lag_bytes": LAG_BYTES},
        build=rules.replica_lag,
    ),
    Invariant(
        name="replica_not_streaming",
        description="Every replica is fed by the leader",
        check=rules.replica_not_streaming,
        needs=NEEDS,
        grace_seconds=60.0,
        clear_seconds=15.0,
    ),
    Invariant(
        name="timeline_diverged",
        description="Every replica follows the leader's history",
        check=rules.timeline_diverged,
        needs=NEEDS,
        grace_seconds=60.0,
        clear_seconds=30.0,
    ),
    Invariant(
        name="sync_standby_missing",
        description="Synchronous mode has its standby",
        check=rules.sync_standby_missing,
        needs=NEEDS,
        grace_seconds=20.0,
        clear_seconds=15.0,
    ),
    Invariant(
        name="paused_long",
        description="Automatic failover is on",
        check=rules.paused_long,
        needs=("members",),
        # A pause is how maintenance is done; it is a problem only where nobody ends it.
        grace_seconds=1800.0,
        clear_seconds=10.0,
    ),
    Invariant(
        name="pending_restart",
        description="No changed setting waits for a restart",
        check=rules.pending_restart,
        needs=NEEDS,
        grace_seconds=3600.0,
        clear_seconds=10.0,
    ),
    Invariant(
        name="dcs_unreachable",
        description="Every member reaches the DCS",
        check=rules.dcs_unreachable,
        needs=("dcs",),
        grace_seconds=10.0,
        clear_seconds=15.0,
    ),
    Invariant(
        name="watchdog_failed",
        description="The watchdogs work",
        check=rules.watchdog_failed,
        needs=("nodes",),
        grace_seconds=60.0,
        clear_seconds=60.0,
    ),
    Invariant(
        name="tag_left",
        description="No member is kept from duty for long",
        check=rules.tag_left,
        needs=("members",),
        grace_seconds=86_400.0,
        clear_seconds=60.0,
    ),
)
