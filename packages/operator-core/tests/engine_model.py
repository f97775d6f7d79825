"""What the engine promises, as a model of a few lines: who may run, and what follows from it.

It knows no SQL, no lease's owner and no task: rows, their states, and the time in seconds. A
machine of Hypothesis (test_engine_model.py) holds the engine against it.
"""

from dataclasses import dataclass, field

from engine_items import (
    DISRUPTIVE,
    HOUR_SECONDS,
    IDEMPOTENT,
    INVERSE,
    LEASE_SECONDS,
    LIVE,
    TOOLS,
    TRIES,
    WAIT_SECONDS,
    WAITS,
    Flow,
    Item,
    Mood,
    S,
    W,
)


@dataclass
class Model:
    """All that is true of a ledger; a method returns whether the engine must allow it."""

    must_approve: bool
    now: int = 0
    may_act: bool = True
    killed: bool = False
    next_run: int = HOUR_SECONDS
    items: list[Item] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)

    # --- people ------------------------------------------------------------------------

    def propose(self, *actions: str, chained: bool) -> bool:
        """Propose an action, or a workflow of several."""
        if not self.may_act:
            return False
        flow = None
        if chained:
            flow = len(self.flows)
            self.flows.append(Flow())
        for place, action in enumerate(actions):
            after = len(self.items) - 1 if place else None
            self.items.append(Item(action, flow=flow, after=after))
        return True

    def fire(self) -> bool:
        """Propose what the hourly schedule makes due; one for all that was missed."""
        if self.may_act and self.now >= self.next_run:
            self.items.append(Item("look"))
            self.next_run = (self.now // HOUR_SECONDS + 1) * HOUR_SECONDS
        return True

    def validate(self, n: int) -> bool:
        """Check a proposal; the policy approves it where nobody else must."""
        item = self.items[n]
        if item.status is not S.PROPOSED:
            return False
        item.status = S.VALIDATED
        item.approved = item.approved or not self.must_approve
        return True

    def approve(self, n: int) -> bool:
        """Approve a proposal, once and before it starts."""
        item = self.items[n]
        allowed = item.status in WAITS and not item.approved
        item.approved = item.approved or allowed
        return allowed

    def cancel(self, n: int, *, rejects: bool = False) -> bool:
        """Cancel or reject what has not started, and what waits for it."""
        item = self.items[n]
        if item.status not in WAITS:
            return False
        item.status = S.CANCELLED
        item.approved = item.approved and not rejects
        self._settle(n)
        return True

    def schedule(self, n: int, at: int | None) -> bool:
        """Set when a proposal is due."""
        item = self.items[n]
        if item.status not in WAITS:
            return False
        item.scheduled_at = at
        return True

    def ask_to_stop(self, n: int) -> bool:
        """Ask the owner of a call to stop it."""
        item = self.items[n]
        if item.again_at is not None:
            self._doubt(item)
        item.asked_to_stop = item.asked_to_stop or item.status is S.EXECUTING
        return item.status is S.EXECUTING

    def retry(self, n: int) -> bool:
        """Take a failed proposal back, under a new key."""
        item = self.items[n]
        over = item.undoes is None and item.flow is not None and not self._lives(item.flow)
        if item.status is not S.FAILED or item.failures >= TRIES or over:
            return False
        item.status, item.retry_at, item.acted = S.VALIDATED, None, False
        return True

    def settle(self, n: int) -> bool:
        """A person who has looked says the truth about what is in doubt, or is to be sent again."""
        item = self.items[n]
        if not item.doubt and item.again_at is None:
            return False
        if item.acted:
            self._succeed(n)
        else:
            self._fail(n, permanent=True)
        return True

    def approve_flow(self, f: int) -> bool:
        """Approve a workflow: the steps that it has."""
        flow = self.flows[f]
        if flow.status not in LIVE or flow.covered is not None:
            return False
        flow.covered = frozenset(self.steps(f))
        return True

    def cancel_flow(self, f: int, *, undo: bool = True) -> bool:
        """Cancel a workflow: what has not started, and undo what was done."""
        flow = self.flows[f]
        if flow.status not in LIVE:
            return False
        flow.status, flow.paused = W.CANCELLED, False
        self._end_flow(f, undo=undo)
        return True

    def pause(self, f: int) -> bool:
        """Let no further step start."""
        flow = self.flows[f]
        allowed = flow.status in LIVE and not flow.paused
        flow.paused = flow.paused or allowed
        return allowed

    def resume(self, f: int) -> bool:
        """Let steps start again."""
        allowed = self.flows[f].paused
        self.flows[f].paused = False
        return allowed

    def kill(self) -> bool:
        """Stop everything: what waits is cancelled, what runs is asked, nothing is undone."""
        self.may_act, self.killed = False, True
        for f, flow in enumerate(self.flows):
            flow.undo_due = False
            self.cancel_flow(f, undo=False)
        for item in self.items:
            item.retry_at = None
            self._call_off(item)
            if item.status is S.EXECUTING and not item.doubt:
                item.asked_to_stop = True
        return True

    def set_mode(self, *, execute: bool) -> bool:
        """Set the mode; execute lifts a kill, and nothing else does."""
        self.may_act = execute
        self.killed = self.killed and not execute
        return True

    # --- who may run -------------------------------------------------------------------

    def is_ready(self, n: int) -> bool:
        """Return whether an item waits for nothing but a free worker and the mode."""
        item = self.items[n]
        if item.again_at is not None:
            paused = item.flow is not None and self.flows[item.flow].paused
            return item.again_at <= self.now and not paused
        before = None if item.after is None else self.items[item.after].status
        return (
            item.status is S.VALIDATED
            and (item.scheduled_at or 0) <= self.now
            and (item.approved or (self._covers(n) and self._lives(item.flow)))
            and (item.flow is None or not self.flows[item.flow].paused)
            and before in (None, S.COMPLETED)
            and not (item.action in DISRUPTIVE and self._is_busy())
        )

    def _is_busy(self) -> bool:
        return any(one.action in DISRUPTIVE for one in self.items if one.status is S.EXECUTING)

    def may_claim(self, n: int) -> bool:
        """Return whether an executor must get an item now."""
        return self.may_act and self.is_ready(n)

    def claim(self, n: int) -> bool:
        """Begin an attempt."""
        if not self.may_claim(n):
            return False
        item = self.items[n]
        item.status, item.lease_until = S.EXECUTING, self.now + LEASE_SECONDS
        item.asked_to_stop = False
        item.resent, item.again_at = item.again_at is not None, None
        self._settle(n)
        return True

    # --- what becomes of an attempt ----------------------------------------------------

    def execute(self, n: int, mood: Mood, *, knows: bool) -> bool:
        """Carry out an attempt from its claim to its end."""
        if not self.claim(n):
            return False
        self.end(n, mood, knows=knows)
        return True

    def end(self, n: int, mood: Mood, *, knows: bool) -> None:
        """Send a claimed call, and take what comes of it."""
        if self.items[n].action in TOOLS:
            self._succeed(n)
            return
        if mood in (Mood.SUCCEED, Mood.LOST_AFTER):
            self.act(n)
        permanent = mood is Mood.REFUSE
        if mood is Mood.SUCCEED:
            self._succeed(n)
        elif mood in (Mood.FAIL, Mood.REFUSE) and not self.items[n].resent:
            self._fail(n, permanent=permanent)
        else:
            self._probe(n, knows=knows, stop=False, permanent=permanent)

    def act(self, n: int) -> None:
        """Let the effect happen."""
        self.items[n].acted = True
        self.items[n].effects += 1

    def stop(self, n: int) -> None:
        """End an attempt that was asked to stop, and was not sent or had no effect before."""
        if self.items[n].resent and self.items[n].acted:
            self._succeed(n)
            return
        self.items[n].status = S.CANCELLED
        self._settle(n)

    def expired(self) -> list[int]:
        """Return the attempts whose owner's lease has ended, in the order they are settled."""
        found = [
            (item.lease_until, n)
            for n, item in enumerate(self.items)
            if item.status is S.EXECUTING
            and not item.doubt
            and item.again_at is None
            and item.lease_until <= self.now
        ]
        return [n for _, n in sorted(found)]

    def recover(self, *, knows: bool) -> bool:
        """Settle what owners that are gone left behind."""
        for n in self.expired():
            if self.items[n].action in TOOLS:
                self._succeed(n)
            else:
                self._inherit(n, knows=knows)
        return True

    def _inherit(self, n: int, *, knows: bool) -> None:
        """Settle an attempt of somebody who is gone: the first time it is sent again at once."""
        item = self.items[n]
        first = item.failures == 0
        self._probe(n, knows=knows, stop=self.killed or item.asked_to_stop)
        if first and item.again_at is not None:
            item.again_at = self.now

    def _probe(self, n: int, *, knows: bool, stop: bool, permanent: bool = False) -> None:
        item = self.items[n]
        over = item.undoes is None and item.flow is not None and not self._lives(item.flow)
        again = item.action in IDEMPOTENT and item.failures + 1 < TRIES
        again = again and not (stop or over or permanent or item.asked_to_stop)
        if knows and item.acted:
            self._succeed(n)
        elif knows and stop:
            self.stop(n)
        elif knows:
            self._fail(n, permanent=permanent)
        elif again:
            item.failures += 1
            item.again_at = self.now + self._backoff(item)
        else:
            self._doubt(item)

    def _doubt(self, item: Item) -> None:
        item.doubt, item.again_at = True, None

    def _call_off(self, item: Item) -> None:
        """Cancel what has not started; what was sent and is to be sent again is in doubt."""
        if item.again_at is not None:
            self._doubt(item)
        item.status = S.CANCELLED if item.status in WAITS else item.status

    def _succeed(self, n: int) -> None:
        item = self.items[n]
        item.status, item.doubt, item.again_at = S.COMPLETED, False, None
        for follower in self.items if item.action == "wait" else []:
            if follower.after == n and follower.status in WAITS:
                due = self.now + WAIT_SECONDS
                follower.scheduled_at = max(follower.scheduled_at or 0, due)
        self._settle(n)

    def _fail(self, n: int, *, permanent: bool) -> None:
        item = self.items[n]
        item.status, item.doubt, item.again_at = S.FAILED, False, None
        item.failures += 1
        over = permanent or item.failures >= TRIES
        item.retry_at = None if over else self.now + self._backoff(item)
        self._settle(n)

    def _backoff(self, item: Item) -> int:
        return int(2 ** (item.failures - 1))

    # --- workflows ---------------------------------------------------------------------

    def steps(self, f: int) -> list[int]:
        """Return the items of a workflow, its compensations too, in order."""
        return [n for n, item in enumerate(self.items) if item.flow == f]

    def _lives(self, f: int | None) -> bool:
        return f is not None and self.flows[f].status in LIVE

    def _covers(self, n: int) -> bool:
        f = self.items[n].flow
        return f is not None and n in (self.flows[f].covered or ())

    def _settle(self, n: int) -> None:
        """Bring the workflow of an item up to date."""
        item = self.items[n]
        if item.flow is None:
            return
        if item.undoes is not None:
            self._settle_undoing(n)
        elif self._lives(item.flow):
            self._roll_up(item.flow)
        else:
            item.retry_at = None
            self._undo(item.flow)

    def _roll_up(self, f: int) -> None:
        flow, steps = self.flows[f], [self.items[n] for n in self.steps(f)]
        states = {step.status for step in steps}
        if any(step.status is S.FAILED and step.retry_at is None for step in steps):
            flow.status = W.FAILED
            self._end_flow(f, undo=True)
        elif S.CANCELLED in states:
            self.cancel_flow(f)
        elif states == {S.COMPLETED}:
            flow.status, flow.paused = W.COMPLETED, False
        elif states - set(WAITS):
            flow.status = W.IN_PROGRESS

    def _end_flow(self, f: int, *, undo: bool) -> None:
        for n in self.steps(f):
            item = self.items[n]
            item.retry_at = None
            self._call_off(item)
        if undo:
            self.flows[f].undo_due = True
            self._undo(f)

    def _undo(self, f: int) -> None:
        steps = self.steps(f)
        if not self.flows[f].undo_due or any(self.items[n].status is S.EXECUTING for n in steps):
            return
        self.flows[f].undo_due, before = False, None
        for n in reversed(steps):
            step = self.items[n]
            if step.status is S.COMPLETED and step.action in INVERSE and step.undoes is None:
                approved = step.approved or self._covers(n)
                undo = Item(INVERSE[step.action], S.VALIDATED, approved, flow=f)
                undo.undoes, undo.after = n, before
                before = len(self.items)
                self.items.append(undo)

    def _settle_undoing(self, n: int) -> None:
        item = self.items[n]
        if item.status is S.CANCELLED or (item.status is S.FAILED and item.retry_at is None):
            for other in self.items:
                if other.flow == item.flow and other.undoes is not None and other.status in WAITS:
                    other.status = S.CANCELLED
