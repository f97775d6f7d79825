"""No sequence of public calls reaches an effect that the policy in force does not allow."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from engine_bench import id_of
from gate_kit import ALLOW, ASK_ONE, ASK_TWO, ROLES, Gate, gate
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.errors import OperatorError
from operator_core.testing.fakes import Mode

T = TypeVar("T")
DENY = ROLES + '[[rule]]\nname = "stop"\neffect = "deny"\n'
POLICIES = {"one": ASK_ONE, "two": ASK_TWO, "deny": DENY, "allow": ALLOW}
DBA, SRE = {"alice", "bob"}, {"bob", "carol"}
HOUR = timedelta(hours=1)
ACTIONS = ["look", "shut", "shut", "smash"]
HOW = ["valid", "proposed", "by hand", "forged"]
PEOPLE = ["alice", "bob", "carol", "zoe", "agent"]


@dataclass(frozen=True)
class Given:
    """A word that the engine took: whose, for what, when, under how many changes of policy."""

    person: str
    owner: tuple[str, int]
    at: datetime
    era: int


class Walk:
    """Calls whatever is public, and holds each effect against a rule book of its own."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.stack = AsyncExitStack()
        self.policy, self.era = "one", 0
        self.gate: Gate = self.do(self.stack.enter_async_context(gate(self.folder)))
        self.given: list[Given] = []
        self.ids: list[int] = []
        self.flows: list[int] = []

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def tries(self, call: Coroutine[Any, Any, object]) -> bool:
        """Call; whatever the engine refuses is fine."""
        try:
            self.do(call)
        except OperatorError:
            return False
        return True

    # --- people and the agent ------------------------------------------------------------

    def propose(self, dice: random.Random) -> None:
        action, how = dice.choice(ACTIONS), dice.choice(HOW)
        if how == "forged":
            self.ids.append(self.do(self.forge(action)))
            return
        n = self.do(self.gate.proposed(action, by=dice.choice(PEOPLE)))
        if how == "valid":
            executor = self.gate.bench.executor(approval_mode=dice.random() < 0.5)
            self.tries(executor.validate_proposal(n))
        elif how == "by hand":
            self.tries(self.gate.bench.db.update_proposal_status(n, ActionStatus.VALIDATED))
        self.ids.append(n)

    async def forge(self, action: str) -> int:
        """Insert a row that says of itself that it is valid and approved."""
        model = ActionProposal(
            action_name=action,
            parameters={"valve": 1},
            reason="-",
            status=ActionStatus.VALIDATED,
            approved_at=self.gate.bench.clock.now(),
            approved_by="alice",
            subject="fake",
        )
        return id_of(await self.gate.bench.db.create_proposal(model))

    def propose_workflow(self, dice: random.Random) -> None:
        actions = dice.choices(ACTIONS, k=dice.randint(1, 2))
        workflow_id, steps = self.do(self.gate.chain(*actions, validate=False))
        for step in steps if dice.random() < 0.5 else []:
            self.tries(self.gate.bench.executor().validate_proposal(step))
        self.flows.append(workflow_id)
        self.ids += steps

    def approve_and_execute(self, dice: random.Random) -> None:
        if not self.ids:
            return
        n = dice.choice(self.ids[-6:])
        for person in dice.choices(PEOPLE, k=dice.randint(0, 3)):
            if self.tries(self.gate.bench.db.approve_proposal(n, person)):
                self.note(person, ("proposal", n))
        if dice.random() < 0.7:
            self.tries(self.gate.bench.executor().validate_proposal(n))
        if dice.random() < 0.7:
            self.execute(n, dice)

    def approve_workflow_and_execute(self, dice: random.Random) -> None:
        if not self.flows:
            return
        flow = dice.choice(self.flows[-3:])
        for person in dice.choices(PEOPLE, k=dice.randint(0, 3)):
            if self.tries(self.gate.bench.db.approve_workflow(flow, person)):
                self.note(person, ("workflow", flow))
        for step in self.do(self.gate.bench.db.list_workflow_actions(flow)):
            self.tries(self.gate.bench.executor().validate_proposal(id_of(step)))
            self.execute(id_of(step), dice)
        if dice.random() < 0.2:
            self.tries(self.gate.bench.db.cancel_workflow(flow))

    def note(self, person: str, owner: tuple[str, int]) -> None:
        self.given.append(Given(person, owner, self.gate.bench.clock.now(), self.era))

    # --- the world -----------------------------------------------------------------------

    def the_world_changes(self, dice: random.Random) -> None:
        if dice.random() < 0.3:
            name = dice.choice([*POLICIES, "one", "two"])
            self.era += name != self.policy
            self.policy = name
            self.do(self.gate.enforce(POLICIES[name]))
        self.gate.bench.clock.advance(dice.choice([0, 0, 60, 600, 3600]))
        if dice.random() < 0.5:
            self.do(self.gate.policies.collect())
        if dice.random() < 0.3:
            self.gate.valves.mode = Mode.FAIL_THEN_OK

    # --- effects -------------------------------------------------------------------------

    def execute(self, n: int, dice: random.Random) -> None:
        self.tries(self.gate.bench.db.reset_for_retry(n))
        before = len(self.gate.valves.done)
        self.tries(self.gate.bench.run(n, approval_mode=dice.random() < 0.5))
        if len(self.gate.valves.done) > before:
            self.judge(n, self.gate.valves.done[-1][0])

    def judge(self, n: int, action: str) -> None:
        """Hold an effect against what the policy in force says, in words of its own."""
        if self.policy == "allow" or (self.policy != "deny" and action == "look"):
            return
        assert self.policy in ("one", "two"), f"{action} although everything is denied"
        assert action != "smash"
        people = self.people_for(n)
        assert people & DBA, (action, people)
        if self.policy == "two":
            assert people & SRE, (action, people)
            assert len(people & (DBA | SRE)) >= 2, (action, people)

    def people_for(self, n: int) -> set[str]:
        step = self.do(self.gate.bench.get(n))
        now = self.gate.bench.clock.now()
        owners = {("proposal", n), ("workflow", step.workflow_id)}
        return {
            one.person
            for one in self.given
            if one.owner in owners
            and one.era == self.era
            and now - one.at < HOUR
            and one.person != step.proposed_by
        }

    def go(self, steps: int) -> int:
        """Take steps, each as likely as any other; return how many effects there were."""
        every = [
            self.propose,
            self.propose_workflow,
            self.approve_and_execute,
            self.approve_and_execute,
            self.approve_workflow_and_execute,
            self.the_world_changes,
        ]
        for _ in range(steps):
            self.dice.choice(every)(self.dice)
        return len(self.gate.valves.done)

    def close(self) -> None:
        """Let go of everything."""
        self.do(self.stack.aclose())
        self.loop.close()
        shutil.rmtree(self.folder)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("seed", range(3))
def test_no_sequence_of_calls_gets_past_the_policy(seed: int) -> None:
    walk = Walk(seed)
    try:
        assert walk.go(120) >= 4, "a walk without effects shows nothing"
    finally:
        walk.close()
