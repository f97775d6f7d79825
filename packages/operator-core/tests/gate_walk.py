"""Calls of whatever is public, each effect held against a rule book of its own."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from engine_bench import LEASE_SECONDS, bench, id_of
from gate_kit import ALLOW, ASK_ONE, ASK_TWO, ROLES, Gate, gate
from operator_core.actions.types import ActionProposal, ActionStatus, SafetyMode, Schedule
from operator_core.agent.janitor import JANITOR
from operator_core.db.care import CareDB
from operator_core.db.schedules import ScheduleDB
from operator_core.errors import OperatorError
from operator_core.testing.fakes import Mode

T = TypeVar("T")
DENY = ROLES + '[[rule]]\nname = "stop"\neffect = "deny"\n'
NOON = 12
SALE = ALLOW + '[[freeze]]\nname = "sale"\nhours = { from = "12:00", until = "24:00" }\n'
POLICIES = {"one": ASK_ONE, "two": ASK_TWO, "deny": DENY, "allow": ALLOW, "sale": SALE}
DBA, SRE = {"alice", "bob"}, {"bob", "carol"}
HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=LEASE_SECONDS + 1)
ACTIONS = ["look", "shut", "shut", "smash", "turn"]
OWNERS = ["one", "two", "three"]
_RARE = 0.02
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
        self.backups: list[tuple[Path, str]] = []

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

    def approve_early_and_execute_late(self, dice: random.Random) -> None:
        """Have a new one approved by all who can, and try it when their words have ended."""
        self.propose(dice)
        n = self.ids[-1]
        self.tries(self.gate.bench.executor().validate_proposal(n))
        for person in ("alice", "bob", "carol"):
            if self.tries(self.gate.bench.db.approve_proposal(n, person)):
                self.note(person, ("proposal", n))
        self.gate.bench.clock.advance(dice.choice([600, 3600]))
        self.execute(n, dice)

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

    def a_schedule_fires(self, dice: random.Random) -> None:
        """Make a schedule, or let what is due be proposed."""
        schedules = ScheduleDB(self.gate.bench.ledger)
        if dice.random() < 0.5:
            name, action = f"every-{dice.randint(1, 3)}", dice.choice(ACTIONS)
            made = Schedule(
                name=name,
                cron="0 * * * *",
                action_name=action,
                parameters={"valve": 1},
                reason="-",
                subject="fake",
            )
            self.tries(schedules.create(made, actor=dice.choice(PEOPLE)))
        self.gate.bench.clock.advance(dice.choice([60, 3600]))
        self.ids += [id_of(one) for one in self.do(schedules.fire_due(subject="fake"))]

    def an_owner_dies(self, dice: random.Random) -> None:
        """Claim for a process that dies, and let another one settle what it left."""
        if not self.ids:
            return
        n = dice.choice(self.ids[-6:])
        self.tries(self.gate.bench.executions.claim(n, self.gate.bench.terms("dead")))
        self.gate.bench.clock.advance(LEASE.total_seconds())
        before = len(self.gate.valves.done)
        executor = self.gate.bench.executor(dice.choice(OWNERS))
        self.tries(executor.settle_expired(self.gate.valves))
        assert len(self.gate.valves.done) == before, "what is settled is not sent past the gate"

    def a_backup_is_made(self, dice: random.Random) -> None:
        """Keep a backup, to be restored some time."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        self.tries(CareDB(self.gate.bench.ledger).backup(folder / "ledger.db"))
        self.backups.append((folder, self.policy))
        del dice

    def a_backup_is_restored(self, dice: random.Random) -> None:
        """Go on with a backup: nobody's word counts any more."""
        if not self.backups:
            return
        folder, self.policy = self.backups.pop(dice.randrange(len(self.backups)))
        valves, clock = self.gate.valves, self.gate.bench.clock
        other = self.do(self.stack.enter_async_context(bench(folder, clock=clock)))
        other.subject = valves
        self.gate, self.era = Gate(other, valves), self.era + 1
        self.do(other.control.set_mode(SafetyMode.EXECUTE, actor="root"))
        self.given.clear()
        kept = self.do(other.db.list_proposals())
        self.ids = [one for one in self.ids if one in {id_of(each) for each in kept}]
        flows = {each.workflow_id for each in kept}
        self.flows = [one for one in self.flows if one in flows]

    # --- effects -------------------------------------------------------------------------

    def execute(self, n: int, dice: random.Random) -> None:
        """Let one, two or three executors try at once, and the policy change beside them."""
        self.tries(self.gate.bench.db.reset_for_retry(n))
        before, was = len(self.gate.valves.done), (self.policy, self.era)
        begun_at = self.gate.bench.clock.now()
        calls: list[Coroutine[Any, Any, object]] = [
            self.gate.bench.run(n, owner=owner, approval_mode=dice.random() < 0.5)
            for owner in OWNERS[: dice.randint(1, 3)]
        ]
        if dice.random() < 0.1:
            name = dice.choice([*POLICIES])
            self.policy, self.era = name, self.era + (name != self.policy)
            calls.insert(dice.randint(0, len(calls)), self.gate.enforce(POLICIES[name]))
        self.do(_all(calls))
        done = self.gate.valves.done[before:]
        assert len(done) <= 1, "two executors did one thing"
        if done:
            books = {was, (self.policy, self.era)}
            times = (begun_at, self.gate.bench.clock.now())
            wrongs = [self.wrong(n, done[0][0], book, now) for book in books for now in times]
            assert "" in wrongs, wrongs

    def wrong(self, n: int, action: str, book: tuple[str, int], now: datetime) -> str:
        """Return why an effect must not be under a policy, in words of its own; empty: it may."""
        policy, era = book
        if policy == "sale":
            held = now.hour >= NOON and not self.undoes(n)
            return f"{action} although a freeze holds" if held else ""
        if policy == "allow" or (policy != "deny" and action == "look"):
            return ""
        if policy == "deny" or action == "smash":
            return f"{action} although the policy {policy} denies it"
        people = self.people_for(n, era, now)
        enough = bool(people & DBA)
        if policy == "two":
            enough = enough and bool(people & SRE) and len(people & (DBA | SRE)) >= 2
        return "" if enough else f"{action} under {policy} on the word of {people or 'nobody'}"

    def undoes(self, n: int) -> bool:
        step = self.do(self.gate.bench.get(n))
        return step.compensates_proposal_id is not None or step.proposed_by == JANITOR

    def people_for(self, n: int, era: int, now: datetime) -> set[str]:
        step = self.do(self.gate.bench.get(n))
        undone = ("proposal", step.compensates_proposal_id)
        owners = {("proposal", n), ("workflow", step.workflow_id), undone}
        return {
            one.person
            for one in self.given
            if one.owner in owners
            and one.era == era
            and now - one.at < HOUR
            and one.person != step.proposed_by
        }

    def go(self, steps: int) -> int:
        """Take steps, each as likely as any other; return how many effects there were."""
        every = [
            *self.detours(),
            self.propose,
            self.propose_workflow,
            *[self.approve_and_execute] * 6,
            *[self.approve_workflow_and_execute] * 3,
            self.approve_early_and_execute_late,
            self.the_world_changes,
            self.a_schedule_fires,
            self.an_owner_dies,
            self.a_backup_is_made,
        ]
        rare = self.a_backup_is_restored
        for _ in range(steps):
            (rare if self.dice.random() < _RARE else self.dice.choice(every))(self.dice)
        return len(self.gate.valves.done)

    def detours(self) -> list[Callable[[random.Random], None]]:
        """Return steps besides those of every day."""
        return []

    def close(self) -> None:
        """Let go of everything."""
        self.do(self.stack.aclose())
        self.loop.close()
        shutil.rmtree(self.folder)


async def _all(calls: Sequence[Coroutine[Any, Any, object]]) -> None:
    """Call all at once; whatever the engine refuses is fine, anything else is not."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, OperatorError):
            raise one
