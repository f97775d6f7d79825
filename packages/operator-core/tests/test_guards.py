"""Every guard of the gate has a canary, and a guard that is taken away is missed by it."""

import ast
import importlib
import inspect
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

import operator_core
from guard_mutants import replace_everywhere
from operator_core.actions.cage import ACTIONS, CageClock, cage
from operator_core.actions.canaries.canary import CONTROL, Canary, release, release_all
from operator_core.actions.canaries.table import CANARIES
from operator_core.actions.policy import Decision, Effect, LoadedPolicy
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.types import ActionProposal
from operator_core.db import claims, safety, starts
from operator_core.db.changes import Stamp
from operator_core.db.claims import ClaimTerms, Context, Taken
from operator_core.db.engine import Tx
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.errors import RequestError
from operator_core.testing.clock import LeapingClock

PLACES = (
    "actions.verdict",
    "actions.policy.binding",
    "actions.policy.decide",
    "actions.policy.limits",
    "actions.policy.people",
    "actions.policy.ruling",
    "actions.policy.sight",
    "db.claims",
    "db.effects",
    "db.gate",
    "db.starts",
    "db.workflow_starts",
)
"""Where guards stand."""

CALM: dict[str, object] = {
    "OperatorError | None": None,
    "str": "",
    "tuple[str, ...]": (),
    "tuple[Drift, ...]": (),
    "tuple[Demand, ...]": (),
}
"""What guards return, and which of it says that nothing is wrong."""

NO_GUARDS = {
    "actions.policy.binding:_told": "words",
    "actions.policy.decide:_anybody": "words for one role, made when first asked for",
    "actions.policy.decide:_why_not": "explains to people",
    "actions.policy.people:_missing_distinct": "one of two ways to count, behind `missing`",
    "actions.policy.people:people_of": "words",
    "actions.policy.people:why_not_approve": "refuses an approval, which is no effect",
    "db.claims:_key": "an idempotency key",
    "db.claims:beside_another": "the words of an error",
    "db.claims:_out_of_reach": "there is no row, or another process changes it",
    "db.effects:_undo": "says what takes an effect back",
    "db.effects:take": "the claim asked `refusal` in the same transaction",
    "db.gate:_declared": "says what is no drift",
    "db.gate:_undone_call": "a digest",
}
"""What has the shape of a guard and is none, with the reason."""

SHAPELESS = {
    "actions.policy.decide:_ruling",
    "actions.policy.decide:decide",
    "actions.policy.people:has_role",
    "actions.policy.decide:_denied",
    "actions.registry:ActionRegistry.require",
    "actions.validation:validate_action_params",
    "db.claims:_admitted",
    "db.claims:_take",
    "db.starts:_born",
    "db.starts:born_of",
    "db.workflow_starts:_born",
    "actions.sending:may_send",
}
"""Guards that do other things as well."""

ALSO_PLANTS = {"actions.policy.people:missing"}
"""Says when words are enough as well: without it, nothing waits for a word any more."""

INDEX = "db.claims:_take"


def shaped() -> dict[str, str]:
    """Return what has the shape of a guard, read from the code, with what it returns."""
    root, found = Path(operator_core.__file__).parent, {}
    for place in PLACES:
        tree = ast.parse((root / f"{place.replace('.', '/')}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.returns is not None:
                found[f"{place}:{node.name}"] = ast.unparse(node.returns)
    return {name: returns for name, returns in found.items() if returns in CALM}


def raising() -> set[str]:
    """Return the functions of the gate and the claim that make errors of their own."""
    root, found = Path(operator_core.__file__).parent, set()
    for place in PLACES:
        tree = ast.parse((root / f"{place.replace('.', '/')}.py").read_text())
        for node in tree.body:
            calls = (one.func for one in ast.walk(node) if isinstance(one, ast.Call))
            names = {one.id for one in calls if isinstance(one, ast.Name)}
            if isinstance(node, ast.FunctionDef) and any(one.endswith("Error") for one in names):
                found.add(f"{place}:{node.name}")
    return found


GUARDS = {guard for one in CANARIES for guard in one.guards}
PAIRS = [(one, guard) for one in CANARIES for guard in one.guards]


def test_every_guard_has_a_canary_and_a_new_one_without_fails() -> None:
    expected = (shaped().keys() | raising()) - NO_GUARDS.keys() | SHAPELESS
    assert expected == GUARDS
    assert NO_GUARDS.keys() <= shaped().keys() | raising()
    assert len({one.name for one in CANARIES} | {CONTROL}) == len(CANARIES) + 1


def test_a_new_guard_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.read_text

    def longer(path: Path) -> str:
        more = "def _new(facts: GateFacts) -> OperatorError | None: return None\n"
        return whole(path) + more if path.name == "verdict.py" else whole(path)

    monkeypatch.setattr(Path, "read_text", longer)
    assert "actions.verdict:_new" in shaped().keys() - GUARDS - NO_GUARDS.keys()


# --- the canaries ---------------------------------------------------------------------


@asynccontextmanager
async def scratch_in(folder: Path) -> AsyncIterator[Ledger]:
    """Open a scratch ledger in a test's folder."""
    ledger = await open_ledger(folder / "scratch.db", CageClock(LeapingClock()))
    try:
        yield ledger
    finally:
        await ledger.engine.close()


@pytest.mark.real  # thirty whole executions, one after the other
async def test_every_canary_is_refused_and_a_good_action_is_not() -> None:
    found = await release_all(CANARIES, LeapingClock())
    assert [one for one in found if not one.alive] == []
    assert [one.canary for one in found] == [CONTROL, *(one.name for one in CANARIES)]


async def test_a_cage_is_never_made_on_another_ledger(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path / "real.db", LeapingClock())
    try:
        with pytest.raises(RequestError, match="scratch"):
            await cage(ledger, "x")
    finally:
        await ledger.engine.close()


# --- guards that are taken away -------------------------------------------------------


def _any_claim(patch: pytest.MonkeyPatch) -> None:
    text = inspect.getsource(claims._admitted)
    for wrong in ('row["subject"] != terms.subject', 'row["cancel_requested_at"] is not None'):
        assert wrong in text
        text = text.replace(wrong, "False")
    whole = compile(text, claims.__file__, "exec")
    codes = [one for one in whole.co_consts if isinstance(one, CodeType)]
    (code,) = (one for one in codes if one.co_name == "_admitted")  # and not of its annotations
    patch.setattr(claims, "_admitted", FunctionType(code, vars(claims)))


def _whatever_no_rule_says(patch: pytest.MonkeyPatch) -> None:
    decide = importlib.import_module("operator_core.actions.policy.decide")
    patch.setattr(decide, "_denied", _whatever)


def _whatever(loaded: LoadedPolicy, *_: object) -> Decision:
    return Decision(Effect.AUTO, "", (), loaded.digest)


def _everything_is_allowed(patch: pytest.MonkeyPatch) -> None:
    decide = importlib.import_module("operator_core.actions.policy.decide")
    replace_everywhere(patch, decide.decide, _whatever)


def _unknown_is_small(patch: pytest.MonkeyPatch) -> None:
    decide = importlib.import_module("operator_core.actions.policy.decide")
    patch.setattr(decide, "_ruling", _whatever)


def _everybody(patch: pytest.MonkeyPatch) -> None:
    people = importlib.import_module("operator_core.actions.policy.people")
    replace_everywhere(patch, people.has_role, lambda *_: True)


def _any_action(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ActionRegistry, "require", lambda *_: ACTIONS[0])


def _any_parameters(patch: pytest.MonkeyPatch) -> None:
    validation = importlib.import_module("operator_core.actions.validation")
    replace_everywhere(patch, validation.validate_action_params, lambda _, given: dict(given))


def _whoever_owns_it(patch: pytest.MonkeyPatch) -> None:
    async def yes(_: object) -> bool:
        return True

    execution = importlib.import_module("operator_core.actions.execution")
    patch.setattr(execution, "may_send", yes)


def _any_start(patch: pytest.MonkeyPatch) -> None:
    def let_through(
        _tx: object, proposal: ActionProposal, terms: ClaimTerms, _context: object, stamp: Stamp
    ) -> Taken:
        return Taken(claims.claimed(proposal, terms, stamp), terms, stamp)

    patch.setattr(claims, "admit", let_through)


def _no_policy(patch: pytest.MonkeyPatch) -> None:
    def lawless(tx: Tx) -> Context:
        return Context(safety.state_of_claim(tx))

    replace_everywhere(patch, starts.context_of_starts, lawless)


def _any_workflow(patch: pytest.MonkeyPatch) -> None:
    _any_start(patch)
    _no_policy(patch)


SPECIAL: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "actions.policy.decide:_denied": _whatever_no_rule_says,
    "actions.policy.decide:_ruling": _unknown_is_small,
    "actions.policy.decide:decide": _everything_is_allowed,
    "actions.policy.people:has_role": _everybody,
    "actions.sending:may_send": _whoever_owns_it,
    "actions.registry:ActionRegistry.require": _any_action,
    "actions.validation:validate_action_params": _any_parameters,
    "db.claims:_admitted": _any_claim,
    "db.starts:_born": _no_policy,
    "db.starts:born_of": _any_start,
    "db.workflow_starts:_born": _any_workflow,
}


def take_away(guard: str, patch: pytest.MonkeyPatch, ledger: Path) -> None:
    """Take a guard away: whatever it is asked, it sees nothing wrong."""
    if guard == INDEX:
        with closing(sqlite3.connect(ledger)) as connection:
            connection.execute("DROP INDEX idx_action_proposals_exclusive")
        return
    if guard in SPECIAL:
        SPECIAL[guard](patch)
        return
    place, _, name = guard.partition(":")
    module: Any = importlib.import_module(f"operator_core.{place}")
    calm = CALM[shaped()[guard]]
    replace_everywhere(patch, getattr(module, name), lambda *_, **__: calm)


@pytest.mark.parametrize(("canary", "guard"), PAIRS, ids=[f"{c.name}-{g}" for c, g in PAIRS])
async def test_a_guard_that_is_taken_away_is_missed(
    tmp_path: Path, canary: Canary, guard: str
) -> None:
    async with scratch_in(tmp_path) as ledger:
        with pytest.MonkeyPatch.context() as patch:
            take_away(guard, patch, tmp_path / "scratch.db")
            found = await release(canary, ledger, "null")
    assert not found.alive
    assert "planted" not in found.detail or guard in ALSO_PLANTS
