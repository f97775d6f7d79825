"""How a diagnosis looks: the cause, each claim with what was found, what was rejected."""

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table

from operator_core.agent.diagnosis import (
    ActionRecommendation,
    Claim,
    Diagnosis,
    Finding,
    Predicate,
)
from operator_core.agent.evidence import holds
from operator_core.agent.past import of_cause, told
from operator_core.agent.paths import resolve
from operator_core.cli.render import bullets, facts, stacked, table, word
from operator_core.cli.views import as_json, parameters_text
from operator_core.monitor.types import Observation

_SIGNS = {
    Predicate.EQ: "=",
    Predicate.NE: "≠",
    Predicate.LT: "<",
    Predicate.LE: "≤",
    Predicate.GT: ">",
    Predicate.GE: "≥",
}


def diagnosis_brief(diagnosis: Diagnosis | None) -> RenderableType | None:
    """Return the cause and what is recommended, or None where there is no diagnosis."""
    if diagnosis is None:
        return None
    return facts(
        "Diagnosis",
        {
            "cause": diagnosis.cause,
            "confidence": f"{diagnosis.confidence:.0%}",
            "hypothesis": diagnosis.hypothesis,
            "said by": diagnosis.diagnoser,
            "when": diagnosis.created_at,
            "supersedes": _superseded(diagnosis),
            "components": ", ".join(diagnosis.components),
            "seen before": told(of_cause(diagnosis.past, diagnosis.hypothesis)),
            "risks": bullets(diagnosis.risks),
            "person needed": word("escalated") if diagnosis.escalate else None,
        },
    )


def _superseded(diagnosis: Diagnosis) -> str | None:
    if diagnosis.supersedes is None:
        return None
    return f"diagnosis {diagnosis.supersedes}: {diagnosis.superseded_because}"


def former_table(former: Sequence[Diagnosis]) -> Table | None:
    """Return the diagnoses that a ticket had before, or None where it had none."""
    rows = [
        (one.id, one.created_at, one.cause, one.hypothesis, f"{one.confidence:.0%}")
        for one in former
    ]
    names = ("id", "when", "cause", "hypothesis", "confidence")
    return table("Diagnosed before", names, rows) if rows else None


def diagnosis_view(diagnosis: Diagnosis, looks: Mapping[int, Observation]) -> RenderableType:
    """Return the whole diagnosis; each claim is shown with what stands in the look it names."""
    return stacked(
        diagnosis_brief(diagnosis),
        _timeline(diagnosis),
        claim_table("Evidence", diagnosis.evidence, looks),
        _findings("Struck: said, and not so", diagnosis.struck),
        ruled_out_table(diagnosis),
        _recommended(diagnosis),
    )


def claim_table(
    title: str, claims: Sequence[Claim], looks: Mapping[int, Observation]
) -> Table | None:
    """Return claims as a table, or None where there are none.

    Args:
        title: of the table; the look is added where all claims name the same one.
        claims: what was said.
        looks: by id; of a claim whose look is not there nothing is said.
    """
    rows = (
        (
            None if look is None else "yes" if holds(one, look) else "no",
            one.statement,
            one.path,
            _condition(one),
            None if look is None else _found(one, look),
        )
        for one in claims
        for look in [looks.get(int(one.observation_id or 0))]
    )
    names = ("holds", "claim", "path", "condition", "found")
    named = {one.observation_id for one in claims}
    if len(named) == 1 and named & looks.keys():
        title = f"{title} (observation {named.pop()})"
    return table(title, names, rows) if claims else None


def _condition(claim: Claim) -> str:
    if claim.predicate in (Predicate.EXISTS, Predicate.ABSENT):
        return claim.predicate.value
    return f"{_SIGNS.get(claim.predicate, claim.predicate.value)} {as_json(claim.value)}"


def _found(claim: Claim, observation: Observation) -> str:
    found, value = resolve(observation, claim.path)
    return as_json(value) if found else "nothing"


def _findings(title: str, found: Sequence[Finding]) -> Table | None:
    """Return claims with what they met with, or None where there are none."""
    rows = [
        (one.claim.statement, one.claim.path, _condition(one.claim), one.seen or "nothing", one.why)
        for one in found
    ]
    return table(title, ("claim", "path", "condition", "found", "why"), rows) if rows else None


def _timeline(diagnosis: Diagnosis) -> Table | None:
    rows = [(entry.at, entry.what) for entry in diagnosis.timeline]
    return table("Timeline", ("when", "what"), rows) if rows else None


def ruled_out_table(diagnosis: Diagnosis | None) -> Table | None:
    """Return the causes that were considered and rejected, or None where there are none."""
    if diagnosis is None:
        return None
    rows = [
        (one.cause, f"{one.confidence:.0%}", one.rejected_because) for one in diagnosis.alternatives
    ]
    names = ("considered", "confidence", "rejected because")
    return table("Alternatives", names, rows) if rows else None


def _recommended(diagnosis: Diagnosis) -> Table | None:
    rows = [("", *_recommendation(one)) for one in diagnosis.actions]
    for workflow in diagnosis.workflows:
        rows += [(workflow.name, *_recommendation(one)) for one in workflow.actions]
    names = ("workflow", "action", "parameters", "why", "expected")
    return table("Recommended", names, rows) if rows else None


def _recommendation(one: ActionRecommendation) -> tuple[str, str, str, str]:
    return one.action_name, parameters_text(one.parameters), one.reason, one.expected_outcome
