"""When a schedule is due: cron in a time zone, and what becomes of missed runs; pure.

In the hour that is skipped in spring a run takes place right after the gap; in the hour that
comes twice in autumn a run at a fixed time takes place once, the first time. Runs by the
minute or the hour (``*``) follow the time that really passes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from operator_core.actions.types import MissedPolicy
from operator_core.errors import RequestError

GRACE_SECONDS = 60.0
"""A run that is no later than this is on time."""

_GRACE = timedelta(seconds=GRACE_SECONDS)
_TICK = timedelta(microseconds=1)
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_OF_THE_MACHINE = frozenset({"localtime", "posixrules", "Factory"})


@dataclass(frozen=True)
class Rule:
    """When something is due again and again.

    Attributes:
        cron: five fields, as in crontab(5).
        time_zone: an IANA name, such as Europe/Berlin.
    """

    cron: str
    time_zone: str

    def next_after(self, moment: datetime) -> datetime:
        """Return the first due time after a moment, in UTC.

        Raises:
            RequestError: the rule cannot be used; names every fault.
        """
        faults = rule_faults(self)
        if faults:
            raise RequestError("Invalid schedule: " + "; ".join(faults))
        found = _first_after(self, moment)
        if found is None:
            raise RequestError(f"Invalid schedule: cron {self.cron!r} is never due.")
        return found


@dataclass(frozen=True)
class Run:
    """What a schedule does when it is due.

    Attributes:
        due: the due time that is run now; None: none is.
        next_due: when it is due again.
        late: whether the run makes up for missed ones.
    """

    due: datetime | None
    next_due: datetime
    late: bool = False


def run_of(rule: Rule, policy: MissedPolicy, due: datetime, now: datetime) -> Run:
    """Return what is run now for a schedule that was due.

    Args:
        rule: when it is due.
        policy: what becomes of runs that were missed by more than `GRACE_SECONDS`.
        due: the first due time that nothing was done for yet; not in the future.
        now: the present moment.

    Raises:
        RequestError: the rule cannot be used.
    """
    late = now - due > _GRACE
    if policy is MissedPolicy.RUN_ONCE or not late:
        return Run(due, rule.next_after(now), late)
    last: datetime | None = None
    moment = rule.next_after(now - _GRACE - _TICK)
    while moment <= now:
        last, moment = moment, rule.next_after(moment)
    return Run(last, moment)


def rule_faults(rule: Rule) -> list[str]:
    """Return everything that is wrong with a rule."""
    return [*_cron_faults(rule.cron), *_zone_faults(rule.time_zone)]


def _cron_faults(cron: str) -> list[str]:
    fields = cron.split()
    if len(fields) != len(_FIELDS):
        wanted = ", ".join(_FIELDS)
        return [f"cron {cron!r} has {len(fields)} fields, not the five of {wanted}"]
    faults = [
        f"{name}: {field!r} is not possible"
        for place, (name, field) in enumerate(zip(_FIELDS, fields, strict=True))
        if not _parses(" ".join(["*"] * place + [field] + ["*"] * (len(_FIELDS) - place - 1)))
    ]
    if not faults and not _parses(cron):
        faults.append(f"cron {cron!r} is never due: no month has such a day")
    return faults


def _parses(cron: str) -> bool:
    try:
        CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError, AssertionError, IndexError):
        return False
    return True


def _zone_faults(name: str) -> list[str]:
    if name not in _OF_THE_MACHINE and _is_zone(name):
        return []
    return [f"time zone {name!r} is not known: give a name such as UTC or Europe/Berlin"]


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _first_after(rule: Rule, moment: datetime) -> datetime | None:
    """Return the first due time after a moment.

    In the hour that comes twice, what is due next by the clock on the wall may lie in the past.
    """
    local = moment.astimezone(ZoneInfo(rule.time_zone))
    for due in CronSim(rule.cron, local):
        found = due.astimezone(UTC)
        if found > moment:
            return found
    return None
