"""The composition root: one cluster, wired to the ledger with all its stages."""

from dataclasses import dataclass

from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.retry import RetryConfig
from operator_core.actions.safety import SafetyController
from operator_core.agent.grouper import GroupStage
from operator_core.agent.investigate import InvestigateStage
from operator_core.agent.janitor import Janitor
from operator_core.agent.reconsider import ReconsiderStage
from operator_core.agent.runner import AgentRunner
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.config import DEFAULT_LEASE_SECONDS
from operator_core.db.ledger import Ledger
from operator_core.monitor.tickets import MonitorConfig, MonitorStage
from operator_core.subject import FullSubject


@dataclass(frozen=True)
class Wired:
    """The stages of one cluster."""

    subject: FullSubject
    monitor: MonitorStage
    investigate: InvestigateStage
    reconsider: ReconsiderStage
    group: GroupStage
    agent: AgentRunner
    janitor: Janitor
    executor: ActionExecutor
    safety: SafetyController


@dataclass(frozen=True)
class WiringOptions:
    """What can be set when a cluster is wired.

    Attributes:
        require_approval: whether a person approves; None: as the environment says.
        lease_seconds: how long a claim holds without being renewed.
        monitor: how the cluster is watched.
        retry: backoff of retries.
        clock: the source of time.
    """

    require_approval: bool | None = None
    lease_seconds: float = DEFAULT_LEASE_SECONDS
    monitor: MonitorConfig | None = None
    retry: RetryConfig | None = None
    clock: Clock = SYSTEM_CLOCK


def wire(ledger: Ledger, subject: FullSubject, options: WiringOptions | None = None) -> Wired:
    """Return the stages of a cluster on an open ledger.

    Raises:
        ConfigurationError: the subject's actions, or the environment, cannot be used.
    """
    opts = options or WiringOptions()
    registry = ActionRegistry(subject)
    auditor = ActionAuditor(ledger, clock=opts.clock)
    safety = SafetyController(ledger, auditor, clock=opts.clock)
    executor = ActionExecutor(
        ledger,
        registry,
        safety,
        auditor,
        opts.require_approval,
        opts.retry,
        lease_seconds=opts.lease_seconds,
        clock=opts.clock,
    )
    return Wired(
        subject=subject,
        monitor=MonitorStage(ledger, subject, opts.monitor, clock=opts.clock),
        investigate=InvestigateStage(ledger, subject, registry, clock=opts.clock),
        reconsider=ReconsiderStage(ledger, subject, registry, clock=opts.clock),
        group=GroupStage(ledger, subject),
        agent=AgentRunner(ledger, subject, executor, safety, clock=opts.clock),
        janitor=Janitor(ledger, subject, registry, clock=opts.clock),
        executor=executor,
        safety=safety,
    )
