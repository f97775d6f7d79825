"""Incidents of plays are made again from files: grouped, reopened, superseded, in a workflow."""

from pathlib import Path
from typing import Any

import pytest

from lab_kit import SHIPPED
from operator_core.actions.policy import load
from operator_core.clock import from_text
from operator_core.db.exports import ExportDB, IncidentRows
from operator_core.db.ledger import Ledger
from operator_core.db.tickets import TicketDB
from operator_core.runtime.incident.archive import pack, unpack
from operator_core.runtime.incident.replay import replay
from operator_core.runtime.incident.replayed import Means, Replayed
from operator_core.runtime.incident.timeline import timeline
from operator_core.runtime.incident.unmade import unmade
from operator_lab import play as playing
from operator_lab.history import history
from operator_lab.scenario import find_scenarios, load_scenario

DENY = '[[rule]]\nname = "nothing"\neffect = "deny"\n'
AUTO = '[[rule]]\nname = "all"\neffect = "auto"\n'
ONCE = AUTO + '[[limit]]\nname = "once"\ncount = 1\nper_seconds = 9e4\n'
PLAYS = {
    "the-replica-checker-is-paused": {"claim", "verify", "resolve"},
    "one-of-two-evictions-ends": {"claim", "supersede", "verify"},
    "store-up-and-down": {"group", "open", "resolve"},
    "moved-leaders-beside-paused-scheduler": {"claim", "rehearse", "verify"},
    "planned-removal-beside-evict-leader": {"claim", "approve", "decide"},
}
"""Plays, and stages that at least one of their incidents has."""


class Seen:
    """The incidents of a play, as it left them."""

    def __init__(self) -> None:
        self.incidents: list[IncidentRows] = []
        self.subject: Any = None

    async def history(self, ledger: Ledger, scenario: Any, seed: Any, witness: Any) -> Any:  # noqa: ANN401 - as it is called
        """Export all of them before the ledger is gone."""
        self.subject = witness
        for ticket in await TicketDB(ledger).list_tickets():
            rows = await ExportDB(ledger).incident(int(ticket.id or 0))
            self.incidents.append(unpack(pack(rows, {})).rows)
        return await history(ledger, scenario, seed, witness)

    def replayed(self, incident: IncidentRows, **means: Any) -> list[Replayed]:  # noqa: ANN401 - of any kind
        """Make an incident's decisions again."""
        made = Means(self.subject, **means)
        unmade(incident, made)
        return replay(incident, made)


def place_of(name: str) -> Path:
    return next(path for path in find_scenarios([SHIPPED]) if path.stem == name)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if n else ()) for n, name in enumerate(PLAYS)],
)
async def test_every_incident_of_a_play_is_made_again(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen()
    monkeypatch.setattr(playing, "history", seen.history)
    await playing.play(load_scenario(place_of(name)))
    assert seen.incidents
    stages: set[str] = set()
    for incident in seen.incidents:
        whole = seen.replayed(incident)
        assert [one for one in whole if not one.is_same] == []
        stages |= {one.stage for one in whole}
        for moment in {event["timestamp"] for event in incident["events"]}:
            until = from_text(moment)
            some = seen.replayed(incident, until=until)
            assert some == [one for one in whole if one.at <= until]
        assert timeline(incident)
        claims = [one for one in whole if one.stage == "claim"]
        for policy, flips in ((DENY, len(claims)), (ONCE, max(len(claims) - 1, 0))):
            other = seen.replayed(incident, policy=load(policy))
            found = [one for one in other if one.stage == "claim" and not one.is_same]
            assert len(found) >= min(flips, 1), policy
            assert all("refused" in one.now for one in found)
    assert stages >= PLAYS[name]
