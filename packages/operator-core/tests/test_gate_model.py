"""No sequence of public calls reaches an effect that the policy in force does not allow."""

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gate_detours import Detours

DICE = st.randoms(use_true_random=False)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("seed", range(3))
def test_no_sequence_of_calls_gets_past_the_policy(seed: int) -> None:
    walk = Detours(seed)
    try:
        assert walk.go(200) >= 8, "a walk without effects shows nothing"
    finally:
        walk.close()


class Machine(RuleBasedStateMachine):
    """The same calls in an order that Hypothesis chooses, and shortens where one is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.walk = Detours(0)

    @rule(dice=DICE)
    def propose(self, dice: random.Random) -> None:
        self.walk.propose(dice)

    @rule(dice=DICE)
    def propose_workflow(self, dice: random.Random) -> None:
        self.walk.propose_workflow(dice)

    @rule(dice=DICE)
    def fire(self, dice: random.Random) -> None:
        self.walk.a_schedule_fires(dice)

    @precondition(lambda self: self.walk.ids)
    @rule(dice=DICE)
    def approve_and_execute(self, dice: random.Random) -> None:
        self.walk.approve_and_execute(dice)

    @precondition(lambda self: self.walk.flows)
    @rule(dice=DICE)
    def approve_workflow_and_execute(self, dice: random.Random) -> None:
        self.walk.approve_workflow_and_execute(dice)

    @rule(dice=DICE)
    def approve_early_and_execute_late(self, dice: random.Random) -> None:
        self.walk.approve_early_and_execute_late(dice)

    @rule(dice=DICE)
    def change_the_world(self, dice: random.Random) -> None:
        self.walk.the_world_changes(dice)

    @precondition(lambda self: self.walk.ids)
    @rule(dice=DICE)
    def let_an_owner_die(self, dice: random.Random) -> None:
        self.walk.an_owner_dies(dice)

    @rule(dice=DICE)
    def make_a_backup(self, dice: random.Random) -> None:
        self.walk.a_backup_is_made(dice)

    @precondition(lambda self: self.walk.backups)
    @rule(dice=DICE)
    def restore_a_backup(self, dice: random.Random) -> None:
        self.walk.a_backup_is_restored(dice)

    @rule(dice=DICE)
    def take_a_detour(self, dice: random.Random) -> None:
        dice.choice(self.walk.detours())(dice)

    def teardown(self) -> None:
        self.walk.close()


@pytest.mark.timeout(60)
def test_no_order_of_calls_gets_past_the_policy() -> None:
    chosen = settings(
        max_examples=8,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=chosen)
