"""The look at a cluster that an action, or its approval, rests on, right before its claim."""

import asyncio

from operator_core.actions.registry import ActionRegistry
from operator_core.actions.rehearsal import foresee
from operator_core.actions.types import ActionDefinition, ActionType
from operator_core.contain import contained, said
from operator_core.db.executions import ExecutionDB
from operator_core.db.gate import Sight
from operator_core.logs import get_logger
from operator_core.subject import Subject, complete, has_twin, sees_effects

LOOK_LIMIT_SECONDS = 10.0
"""How long the look at the cluster right before an attempt may take."""

log = get_logger(__name__)


def needs_look(definition: ActionDefinition | None, subject: Subject | None) -> bool:
    """Return whether a cluster is looked at before an action on it is claimed."""
    if definition is None or subject is None:
        return False
    return definition.looks_first or _is_rehearsed(definition, subject)


def _is_rehearsed(definition: ActionDefinition, subject: Subject) -> bool:
    return definition.action_type is ActionType.SUBJECT and has_twin(subject)


async def look(
    db: ExecutionDB, proposal_id: int, subject: Subject | None, registry: ActionRegistry
) -> Sight:
    """Look at the cluster, where the action or its approval rests on what is seen."""
    define = registry.get_definition
    may_need = registry.looks_first or (subject is not None and has_twin(subject))
    call = await db.call_of(proposal_id) if may_need else None
    definition = define(call.action_name) if call else None
    if subject is None or call is None or not needs_look(definition, subject):
        return Sight(define)
    rehearsed = definition is not None and _is_rehearsed(definition, subject)
    # Of a subject that lists no effects, nothing can be known to have been there before.
    blind = None if sees_effects(subject) else frozenset[str]()
    try:
        async with asyncio.timeout(LOOK_LIMIT_SECONDS):
            seen = await contained(subject.observe())
        effects = complete(subject).temporary_effects(seen) if blind is None else blind
    except Exception as error:  # noqa: BLE001 - who cannot look is blind, whatever the reason
        log.warning("not_seen", proposal_id=proposal_id, reason=said(error))
        return Sight(define, effects=blind)
    return Sight(define, seen, effects, foresee(subject, seen, call) if rehearsed else None)
