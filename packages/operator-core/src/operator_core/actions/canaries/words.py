"""Canaries of the words that a policy asks for, and of what they rest on."""

from collections.abc import Sequence
from datetime import timedelta

from operator_core.actions.cage import ACTIONS, AGENT, PERSON, Cage, asking
from operator_core.actions.canaries.canary import Canary
from operator_core.db.changes import Stamp
from operator_core.db.engine import Tx
from operator_core.errors import ApprovalRequiredError, BlindError, StaleApprovalError
from operator_core.subject import SubjectDefaults

_BOUND = ("roles", "expires_at", "policy_hash", "calls", "facts", "observation_id", "digest")


async def _without_a_word(cage: Cage) -> int:
    await cage.enforce(asking())
    return await cage.valid()


async def _approved(
    cage: Cage,
    action: str = "turn",
    *,
    seconds: float = 3600,
    people: Sequence[str] = (PERSON,),
    count: int = 1,
) -> int:
    await cage.look()
    await cage.enforce(asking(people, seconds=seconds, count=count))
    planted = await cage.valid(action)
    await cage.db.approve_proposal(planted, PERSON)
    return planted


async def _on_an_old_word(cage: Cage) -> int:
    planted = await _approved(cage, seconds=60)
    cage.clock.ahead += timedelta(seconds=61)
    return planted


async def _before_another_was_suspected(cage: Cage) -> int:
    first = await cage.suspect("1")
    await cage.enforce(asking())
    planted = await cage.slipped_in(action_name="smash", ticket_id=first)
    await cage.db.approve_proposal(planted, PERSON)
    cage.clock.ahead += timedelta(seconds=5)
    await cage.suspect("2")
    return planted


async def _under_another_policy(cage: Cage) -> int:
    planted = await _approved(cage)
    await cage.ledger.write(lambda tx: _bind_otherwise(tx, planted, policy_hash="another"))
    return planted


def _bind_otherwise(tx: Tx, proposal_id: int, **changed: str) -> None:
    word = tx.all("approval.of_proposal", id=proposal_id)[0]
    tx.run("approval.bind", **{"id": word["id"], **{key: word[key] for key in _BOUND}, **changed})


async def _of_another_call(cage: Cage) -> int:
    planted = await _approved(cage)
    cage.subject.behind = SubjectDefaults()  # of a plain cluster, which is not looked at
    cage.offer(ACTIONS[0].model_copy(update={"version": ACTIONS[0].version + 1}))
    return planted


async def _forged(cage: Cage, forger: str) -> int:
    """Plant what one of two people approved, and a second word that was never given."""
    planted = await _approved(cage, people=(PERSON, AGENT), count=2)
    await cage.ledger.write(lambda tx: _copy_word(tx, planted, forger, cage.stamp()))
    return planted


def _copy_word(tx: Tx, proposal_id: int, forger: str, stamp: Stamp) -> None:
    (word,) = tx.all("approval.of_proposal", id=proposal_id)
    own = {"proposal_id": proposal_id, "workflow_id": None}
    tx.run("approval.insert", approver=forger, now=stamp.text, **own)
    copied = tx.all("approval.of_proposal", id=proposal_id)[-1]
    tx.run("approval.bind", id=copied["id"], **{key: word[key] for key in _BOUND})


async def _of_its_proposer(cage: Cage) -> int:
    return await _forged(cage, AGENT)


async def _of_a_stranger(cage: Cage) -> int:
    return await _forged(cage, "stranger")


async def _of_one_alone(cage: Cage) -> int:
    return await _approved(cage, people=(PERSON, "second"), count=2)


async def _of_one_alone_anyhow(cage: Cage) -> int:
    await cage.enforce(asking((PERSON, "second"), count=2), "distinct = false")
    planted = await cage.valid()
    await cage.db.approve_proposal(planted, PERSON)
    return planted


async def _of_one_in_two_roles(cage: Cage) -> int:
    both = asking().replace("[roles]\n", f'[roles]\nwarden = ["{PERSON}"]\n')
    await cage.enforce(both.replace("[{", '[{ role = "warden" }, {'))
    planted = await cage.valid()
    await cage.db.approve_proposal(planted, PERSON)
    return planted


async def _facts_in_the_dark(cage: Cage) -> int:
    planted = await _approved(cage, "shut")
    cage.subject.is_dark = True
    return planted


async def _drifted(cage: Cage) -> int:
    planted = await _approved(cage, "shut")
    cage.subject.is_open = True
    return planted


WORD_CANARIES = (
    Canary(
        "without a word",
        ("actions.policy.ruling:_approved", "actions.policy.people:missing"),
        ApprovalRequiredError,
        "needs the approval",
        _without_a_word,
    ),
    Canary(
        "on an old word",
        ("actions.policy.ruling:_why_not", "actions.policy.people:why_not_counted"),
        StaleApprovalError,
        "it has expired",
        _on_an_old_word,
    ),
    Canary(
        "on a word from before another was suspected",
        ("actions.policy.people:why_not_counted",),
        StaleApprovalError,
        "somebody else is suspected",
        _before_another_was_suspected,
    ),
    Canary(
        "drifted",
        ("actions.policy.ruling:_drifted", "actions.policy.binding:drift"),
        StaleApprovalError,
        "is not as it was approved",
        _drifted,
    ),
    Canary(
        "under another policy",
        ("actions.policy.people:why_not_counted",),
        StaleApprovalError,
        "the policy has changed since",
        _under_another_policy,
    ),
    Canary(
        "of another call",
        ("actions.policy.people:why_not_counted",),
        StaleApprovalError,
        "it was given for another call",
        _of_another_call,
    ),
    Canary(
        "of its proposer",
        ("actions.policy.people:missing",),
        ApprovalRequiredError,
        "needs the approval of 1 of keeper",
        _of_its_proposer,
    ),
    Canary(
        "of a stranger",
        ("actions.policy.people:has_role",),
        ApprovalRequiredError,
        "needs the approval of 1 of keeper",
        _of_a_stranger,
    ),
    Canary(
        "of one alone",
        ("actions.policy.people:missing",),
        ApprovalRequiredError,
        "needs the approval of 1 of keeper",
        _of_one_alone,
    ),
    Canary(
        "facts in the dark",
        ("actions.policy.ruling:_drifted",),
        BlindError,
        "cannot be seen now",
        _facts_in_the_dark,
    ),
    Canary(
        "of one in two roles",
        ("actions.policy.people:missing",),
        ApprovalRequiredError,
        "needs the approval of 1 of",
        _of_one_in_two_roles,
    ),
    Canary(
        "of one alone anyhow",
        ("actions.policy.people:missing",),
        ApprovalRequiredError,
        "needs the approval of 1 of keeper",
        _of_one_alone_anyhow,
    ),
)
