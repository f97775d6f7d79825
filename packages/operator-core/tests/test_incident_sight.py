"""A claim writes down how it saw its sources, and a replay asks again whether that was enough."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gate_kit import ASK_ONE, Gate, gate, wanted
from operator_core.db.exports import IncidentRows
from operator_core.runtime.incident.replayed import Means
from operator_core.runtime.incident.unmade import unmade
from operator_core.subject import complete
from test_incident_gate import made_again, read, ticket_of

EARLY = "2001-01-01T00:00:00.000000+00:00"


@asynccontextmanager
async def done(folder: Path, action: str) -> AsyncIterator[Gate]:
    """An action that was done for ticket 1."""
    async with gate(folder, ASK_ONE) as one:
        executor = one.bench.executor()
        made = await executor.propose_action(wanted(action), await ticket_of(one.bench))
        target = int((await executor.validate_proposal(int(made.id or 0))).id or 0)
        await one.approve(target, "alice")
        await one.bench.run(target)
        yield one


def told(incident: IncidentRows, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the claim wrote down of its sources."""
    (claim,) = (row for row in incident["decisions"] if row["stage"] == "claim")
    revisions = json.loads(claim["revisions"])
    change(revisions)
    claim["revisions"] = json.dumps(revisions)


async def test_the_claim_of_an_action_that_needs_sources_says_how_they_were_seen(
    tmp_path: Path,
) -> None:
    async with done(tmp_path, "flush") as one:
        incident = await read(one.bench)
        (claim,) = made_again(one.bench, incident)["claim"]
        left = unmade(incident, Means(complete(one.bench.subject)))
    (row,) = (row for row in incident["decisions"] if row["stage"] == "claim")
    seen = json.loads(row["revisions"])["sources"]["valves"]
    assert seen.keys() == {"observed_at", "complete", "error", "agrees"}
    assert claim.is_same
    assert not [one for one in left if "sources" in one.what]


async def test_an_action_that_needs_none_writes_nothing_more(tmp_path: Path) -> None:
    async with done(tmp_path, "turn") as one:
        incident = await read(one.bench)
    (row,) = (row for row in incident["decisions"] if row["stage"] == "claim")
    assert "sources" not in json.loads(row["revisions"])


FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "in part": ({"complete": False, "error": "it is dark"}, "was seen in part only: it is dark"),
    "by a minority": ({"agrees": False}, "is contradicted by another source"),
    "long ago": ({"observed_at": EARLY}, "too long ago"),
}


@pytest.mark.parametrize("how", FORGED)
async def test_a_claim_that_saw_too_little_differs(tmp_path: Path, how: str) -> None:
    changed, words = FORGED[how]
    async with done(tmp_path, "flush") as one:
        incident = await read(one.bench)
        told(incident, lambda revisions: revisions["sources"]["valves"].update(changed))
        (claim,) = made_again(one.bench, incident)["claim"]
        assert words in claim.now
        told(incident, lambda revisions: revisions["sources"].clear())
        (claim,) = made_again(one.bench, incident)["claim"]
        assert "valves was not seen" in claim.now


async def test_a_claim_of_an_older_version_is_counted_as_left_out(tmp_path: Path) -> None:
    async with done(tmp_path, "flush") as one:
        incident = await read(one.bench)
        told(incident, lambda revisions: revisions.pop("sources"))
        (claim,) = made_again(one.bench, incident)["claim"]
        left = unmade(incident, Means(complete(one.bench.subject)))
    assert claim.is_same
    (unsaid,) = (one for one in left if "sources" in one.what)
    assert unsaid.number == 1


async def test_a_claim_of_which_the_policy_in_force_was_not_asked_differs(tmp_path: Path) -> None:
    async with done(tmp_path, "turn") as one:
        incident = await read(one.bench)
        incident["decisions"] = [row for row in incident["decisions"] if row["stage"] != "claim"]
        (claim,) = made_again(one.bench, incident)["claim"]
    assert "the policy in force was not asked" in claim.now
