"""What breaks on a cluster under Patroni: pure functions of one observation."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from operator_core.clock import as_utc
from operator_core.monitor.types import Check, Observation, Violation
from operator_core.types import JsonObject, Severity
from operator_patroni.model import IN_WORK, RUNNING, Member, Model, is_no_candidate, model_from
from operator_patroni.observation import members_of, nodes_of

LAG_BYTES = 16.0 * 1024 * 1024
"""A replica that is further behind shows readers an old state, and takes long to take over."""

REJOIN_SECONDS = 60.0
"""How long after a change of the leader a member that is down may be on its way back."""

_MIB = 1024 * 1024


def target_of(name: str) -> str:
    """Return the target of a violation at one member."""
    return f"member-{name}"


def _cluster(seen: Observation) -> JsonObject:
    return seen.data("cluster")


def _model(seen: Observation) -> Model:
    return model_from(seen.data("members"), seen.data("nodes"), seen.data("config"))


def _at(name: str, invariant: str, message: str, severity: Severity, **more: object) -> Violation:
    return Violation(
        invariant=invariant,
        target=target_of(name),
        message=message,
        severity=severity,
        metrics={"member": name, **more},
    )


# --- who takes writes -----------------------------------------------------------------


def no_primary(seen: Observation) -> Iterator[Violation]:
    """No member takes writes."""
    facts = _cluster(seen)
    if not facts["has_primary"]:
        leader = facts["leader"]
        who = f"{leader} holds the leader key and does not serve" if leader else "nobody leads"
        able = ", ".join(facts["candidates"]) or "nobody"
        yield Violation(
            invariant="no_primary",
            target="cluster",
            message=f"No member takes writes: {who}. Able to take over: {able}.",
            severity=Severity.CRITICAL,
            metrics={key: facts[key] for key in ("leader", "candidates", "unfit", "paused")},
        )


def two_primaries(seen: Observation) -> Iterator[Violation]:
    """Two members take writes: what one of them accepts is lost."""
    primaries = seen.data("nodes")["primaries"]
    if len(primaries) > 1:
        yield Violation(
            invariant="two_primaries",
            target="cluster",
            message=f"{' and '.join(primaries)} both say that they take writes. What the wrong one "
            "accepts will be lost: keep clients away from it first.",
            severity=Severity.CRITICAL,
            metrics={"primaries": primaries},
        )


def no_failover_candidate(seen: Observation) -> Iterator[Violation]:
    """A primary serves, and nobody could take over from it: one more loss and writes stop."""
    facts = _cluster(seen)
    if facts["has_primary"] and facts["member_count"] > 1 and facts["spare"] < 1:
        reasons = "; ".join(f"{name}: {why}" for name, why in facts["unfit"].items())
        yield Violation(
            invariant="no_failover_candidate",
            target="cluster",
            message=f"Nobody could take over from {facts['leader']}, so writes stop with it "
            f"({reasons}).",
            severity=Severity.CRITICAL,
            metrics={"leader": facts["leader"], "unfit": facts["unfit"]},
        )


# --- members --------------------------------------------------------------------------


def member_down(seen: Observation) -> Iterator[Violation]:
    """The Patroni of a member does not answer."""
    for name, node in nodes_of(seen).items():
        if not node["reachable"]:
            yield _at(
                name,
                "member_down",
                f"The Patroni of {name} does not answer: {node['reason']}",
                Severity.WARNING,
                failure=node["failure"],
            )


def postgres_down(seen: Observation) -> Iterator[Violation]:
    """A member's Patroni answers, and its PostgreSQL does not run."""
    rejoining = _rejoining(seen)
    for name, node in nodes_of(seen).items():
        if node["reachable"] and node["state"] not in RUNNING | IN_WORK and name not in rejoining:
            yield _at(
                name,
                "postgres_down",
                f"The PostgreSQL of {name} does not run: {node['state']}.",
                Severity.WARNING,
                state=node["state"],
            )


def brought_elsewhere(seen: Observation) -> Iterator[str]:
    """Yield members of which nobody can say yet whether they will run.

    Patroni tries a start that failed again and again, a copy is no replica before it is whole, and
    what led before is rewound.
    """
    rejoining = _rejoining(seen)
    for name, node in nodes_of(seen).items():
        if node["reachable"] and (node["state"] in IN_WORK or name in rejoining):
            yield target_of(name)


def _rejoining(seen: Observation) -> frozenset[str]:
    """Return the members that are down and that Patroni may be rewinding: it tells so nowhere.

    It does so with what left the leader's history, soon after another member has taken over.
    """
    leader, last_at = _cluster(seen).get("leader"), seen.data("history").get("last_at")
    is_paused = seen.data("members").get("paused", True)
    if is_paused or not leader or not _is_lately(last_at, seen.observed_at):
        return frozenset()
    down = (name for name, node in nodes_of(seen).items() if node.get("state") in _DOWN)
    return frozenset(down) - {leader}


_DOWN = frozenset({"stopped", "crashed"})


def _is_lately(moment: object, now: datetime) -> bool:
    """Return whether Patroni wrote a moment down that is not long ago, by any of its clocks."""
    try:
        passed = now - as_utc(datetime.fromisoformat(str(moment)))
    except ValueError:
        return False  # older versions write none
    return abs(passed) <= timedelta(seconds=REJOIN_SECONDS)


def _fed_replicas(seen: Observation) -> Iterator[Member]:
    """Yield the replicas that run and whose leader serves, so that they ought to be fed."""
    model = _model(seen)
    if model.has_primary:
        yield from (one for one in model.replicas if one.runs and one.reachable)


def replica_lag(thresholds: Mapping[str, float]) -> Check:
    """Return the check that no replica is far behind."""
    most = thresholds["lag_bytes"]

    def check(seen: Observation) -> Iterator[Violation]:
        for one in _fed_replicas(seen):
            behind = one.behind_bytes
            if behind is not None and behind > most:
                yield _at(
                    one.name,
                    "replica_lag",
                    f"{one.name} is {behind / _MIB:.0f} MiB behind the leader.",
                    Severity.WARNING,
                    lag_bytes=behind,
                )

    return check


def replica_not_streaming(seen: Observation) -> Iterator[Violation]:
    """A replica runs and is not fed by the leader."""
    for one in _fed_replicas(seen):
        if one.streams is False and not _diverged(seen, one):
            yield _at(
                one.name,
                "replica_not_streaming",
                f"{one.name} runs ({one.state}) and gets nothing from the leader.",
                Severity.WARNING,
                state=one.state,
            )


def timeline_diverged(seen: Observation) -> Iterator[Violation]:
    """A replica follows another history than the leader."""
    for one in _fed_replicas(seen):
        if _diverged(seen, one):
            leads = _cluster(seen)["leader_timeline"]
            ahead = (one.timeline or 0) > leads
            yield _at(
                one.name,
                "timeline_diverged",
                f"{one.name} follows timeline {one.timeline}, the leader is on {leads}"
                + (": it has a history that the leader does not know." if ahead else "."),
                Severity.CRITICAL if ahead else Severity.WARNING,
                timeline=one.timeline,
                leader_timeline=leads,
            )


def _diverged(seen: Observation, one: Member) -> bool:
    """Return whether a replica that gets nothing is on a timeline of its own.

    One that streams shows the old number for a moment, until the first record of the new one.
    """
    leads = _cluster(seen)["leader_timeline"]
    return bool(leads and one.timeline and one.timeline != leads and not one.streams)


# --- settings and what is around ------------------------------------------------------


def sync_standby_missing(seen: Observation) -> Iterator[Violation]:
    """Synchronous mode is on, and no standby is there that writes wait for."""
    facts, config = _cluster(seen), seen.data("config")
    alone = facts["member_count"] < 2  # noqa: PLR2004 - there is nobody who could be one
    if facts["is_synchronous"] and facts["has_primary"] and not facts["sync_standbys"]:
        strict = config["synchronous_mode_strict"]
        if alone and not strict:
            return
        yield Violation(
            invariant="sync_standby_missing",
            target="cluster",
            message="Synchronous mode is on and there is no synchronous standby: "
            + ("writes wait for one." if strict else "writes are on the leader alone."),
            severity=Severity.CRITICAL if strict else Severity.WARNING,
            metrics={"strict": strict, "streaming": facts["streaming"]},
        )


def paused_long(seen: Observation) -> Iterator[Violation]:
    """Patroni only watches, for so long that somebody may have forgotten it."""
    if seen.data("members")["paused"]:
        yield Violation(
            invariant="paused_long",
            target="cluster",
            message="The cluster is paused (maintenance mode): nothing fails over by itself and "
            "nothing that stopped is started again.",
            severity=Severity.WARNING,
        )


def pending_restart(seen: Observation) -> Iterator[Violation]:
    """A changed setting waits for restarts that nobody made."""
    waiting = _cluster(seen)["pending_restart"]
    if waiting:
        yield Violation(
            invariant="pending_restart",
            target="cluster",
            message=f"A changed setting waits for a restart of {', '.join(waiting)}.",
            severity=Severity.INFO,
            metrics={"members": waiting},
        )


def dcs_unreachable(seen: Observation) -> Iterator[Violation]:
    """Members cannot ask the DCS; where no member can, the primary stops taking writes."""
    facts = seen.data("dcs")
    if facts["unseen_by"]:
        everybody = not facts["reachable"]
        held = " Failsafe mode keeps the primary." if facts["failsafe_active"] else ""
        lost = "" if facts["failsafe_active"] else " The primary gives up: writes stop."
        yield Violation(
            invariant="dcs_unreachable",
            target="cluster",
            message=f"{', '.join(facts['unseen_by'])} cannot ask the DCS (etcd, Consul, …)."
            + (held + lost if everybody else " The others can."),
            severity=Severity.CRITICAL if everybody else Severity.WARNING,
            metrics=facts,
        )


def watchdog_failed(seen: Observation) -> Iterator[Violation]:
    """The watchdog of a member does not work: if it hangs while it leads, two may take writes."""
    for name, node in nodes_of(seen).items():
        if node.get("watchdog_failed"):
            yield _at(
                name,
                "watchdog_failed",
                f"The watchdog of {name} does not work.",
                Severity.WARNING,
            )


def tag_left(seen: Observation) -> Iterator[Violation]:
    """A member is kept from leading, or from readers, by a tag that may be left over."""
    for name, one in members_of(seen).items():
        tags = [key for key in ("noloadbalance", "nosync") if one["tags"].get(key) is True]
        tags += ["nofailover"] if is_no_candidate(one["tags"]) else []
        if tags:
            yield _at(
                name,
                "tag_left",
                f"{name} has the tag {', '.join(sorted(tags))} for more than a day.",
                Severity.INFO,
                tags=sorted(tags),
            )
