"""The stage that puts tickets of one cause under it, between diagnosing and proposing."""

from operator_core.agent.grouping import DEFAULT_PATIENCE_SECONDS, Move
from operator_core.db.groups import GroupDB
from operator_core.db.ledger import Ledger
from operator_core.db.watching import WatchingDB
from operator_core.logs import get_logger
from operator_core.monitor.tuning import tuned
from operator_core.subject import FullSubject

log = get_logger(__name__)


class GroupStage:
    """Groups the diagnosed tickets of one cluster."""

    def __init__(self, ledger: Ledger, subject: FullSubject) -> None:
        """Take an open ledger and the cluster whose causes say what they bring."""
        self._db = GroupDB(ledger)
        self._watching = WatchingDB(ledger)
        self._subject = subject

    async def step(self) -> list[Move]:
        """Bring the groups up to date; return what has changed."""
        causes = {one.name: one for one in self._subject.hypotheses()}
        if not causes:
            return []
        made = await self._db.regroup(self._subject.name, causes, await self._patience())
        for move in made:
            log.info("group_changed", ticket_id=move.ticket_id, root=move.root_id, why=move.reason)
        return made

    async def _patience(self) -> dict[str, float]:
        """Return by rule how long a problem may last after what caused it is gone."""
        settings = await self._watching.rule_settings(self._subject.name)
        return {
            rule.name: DEFAULT_PATIENCE_SECONDS + rule.grace_seconds + rule.clear_seconds
            for rule in tuned(self._subject.invariants(), settings)
        }
