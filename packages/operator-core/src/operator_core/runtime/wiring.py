"""The composition root: one cluster, wired to the ledger with all its stages.

A stage is loaded when it is first used: after a crash, what was interrupted goes on before there is
anything to look or think with.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from operator_core import agent as thinking
from operator_core import monitor as watching
from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.retry import RetryConfig
from operator_core.actions.safety import SafetyController
from operator_core.agent.runner import AgentRunner
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.config import DEFAULT_LEASE_SECONDS
from operator_core.db.ledger import Ledger
from operator_core.monitor.config import MonitorConfig
from operator_core.subject import FullSubject


class WiringOptions(NamedTuple):
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


@dataclass(frozen=True)
class Wired:
    """The stages of one cluster, and what they share."""

    ledger: Ledger
    subject: FullSubject
    registry: ActionRegistry
    executor: ActionExecutor
    safety: SafetyController
    agent: AgentRunner
    options: WiringOptions

    @cached_property
    def monitor(self) -> "watching.MonitorStage":
        """What looks at the cluster and opens tickets."""
        options = self.options
        return watching.MonitorStage(
            self.ledger, self.subject, options.monitor, clock=options.clock
        )

    @cached_property
    def investigate(self) -> "thinking.InvestigateStage":
        """What finds causes."""
        return thinking.InvestigateStage(
            self.ledger, self.subject, self.registry, clock=self.options.clock
        )

    @cached_property
    def reconsider(self) -> "thinking.ReconsiderStage":
        """What asks for a cause again."""
        return thinking.ReconsiderStage(
            self.ledger, self.subject, self.registry, clock=self.options.clock
        )

    @cached_property
    def group(self) -> "thinking.GroupStage":
        """What finds the tickets that have one cause."""
        return thinking.GroupStage(self.ledger, self.subject)

    @cached_property
    def janitor(self) -> "thinking.Janitor":
        """What takes temporary effects back."""
        return thinking.Janitor(self.ledger, self.subject, self.registry, clock=self.options.clock)


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
    agent = AgentRunner(ledger, subject, executor, safety, clock=opts.clock)
    return Wired(ledger, subject, registry, executor, safety, agent, opts)
