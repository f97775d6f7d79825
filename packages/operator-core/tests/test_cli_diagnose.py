from pathlib import Path

import pytest

from cli_kit import NASTY, Cli, FakePlugin, FakeSubject, install, now_do, part
from operator_core.agent.diagnosis import Alternative, Claim, Diagnosis, Predicate
from operator_core.agent.evidence import bind
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Observation, Violation


async def see(path: Path, used: float = 0.95) -> None:
    """Store a look at the cluster and a ticket for its full store."""
    async with TicketDB(path) as db:
        observation = Observation(parts={"stores": part({"s1": used})})
        await db.record_look(observation, {}, subject="fake")
        violation = Violation(invariant="full", target="s1", message="s1 is full")
        await db.report(violation, subject="fake")


def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a command line whose ledger has a look at the cluster and a ticket."""
    install(monkeypatch)
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x")
    now_do(see(cli.db_path))
    return cli


def test_the_first_diagnosis_is_made_offline_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = seen(tmp_path, monkeypatch)
    made = cli.json("diagnose", "1")
    assert (made["hypothesis"], made["diagnoser"]) == ("disk", "rules")
    assert made["actions"][0]["parameters"]["store"] == "s1"
    assert cli.json("diagnose", "1")["id"] == made["id"]
    assert cli.json("tickets", "show", "1")["ticket"]["status"] == "diagnosed"


def test_each_claim_is_shown_with_what_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = seen(tmp_path, monkeypatch).ok("diagnose", "1")
    assert "The disk is too small" in text
    assert "stores/s1" in text
    assert "> 0.9" in text
    assert "0.95" in text
    assert "operator actions list --ticket 1" in text


def test_a_recheck_strikes_what_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = seen(tmp_path, monkeypatch)
    claims = [
        Claim(statement="full", path="stores/s1", predicate=Predicate.GT, value=0.9),
        Claim(statement="gone", path="stores/s2", predicate=Predicate.EXISTS),
    ]
    claims = bind(claims, 1)
    diagnosis = Diagnosis(
        ticket_id=1, observation_id=1, cause="c", confidence=0.9, hypothesis="h", evidence=claims
    )

    async def store() -> None:
        async with TicketDB(cli.db_path) as db:
            await db.add_diagnosis(diagnosis)

    now_do(store())
    data = cli.json("diagnose", "recheck", "1")
    assert [one["claim"]["statement"] for one in data["struck"]] == ["gone"]
    assert (data["confidence_before"], data["confidence"]) == (0.5, 0.5)
    assert data == cli.json("diagnose", "1", "--recheck")
    assert "Struck: said, and not so" in cli.ok("diagnose", "1")
    text = cli.ok("diagnose", "1", "--recheck")
    assert "1 hold, 1 struck" in text
    assert "50% now" in text


def test_each_diagnosis_of_a_ticket_is_shown_and_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = seen(tmp_path, monkeypatch)
    full, gone = bind(
        [
            Claim(statement="full", path="stores/s1", predicate=Predicate.GT, value=0.9),
            Claim(statement="gone", path="stores/s2", predicate=Predicate.ABSENT),
        ],
        1,
    )

    async def store() -> None:
        async with TicketDB(cli.db_path) as db:
            for one in (full, gone):
                said = Diagnosis(ticket_id=1, cause=one.statement, confidence=1, evidence=[one])
                await db.add_diagnosis(said.model_copy(update={"hypothesis": one.statement}))

    now_do(store())
    both = cli.json("diagnose", "recheck", "1")
    assert (both["hypothesis"], [one["hypothesis"] for one in both["former"]]) == ("gone", ["full"])
    assert cli.json("diagnose", "recheck", "1", "--diagnosis", "1")["hypothesis"] == "full"
    assert "it has 1, 2" in cli.fails(2, "diagnose", "recheck", "1", "--diagnosis", "7")
    place = str(tmp_path / "one.zip")
    cli.ok("incident", "export", "1", "--to", place)
    assert cli.json("diagnose", "recheck", "--incident", place) == both
    assert "Diagnosed before" in cli.ok("diagnose", "1")
    assert "Diagnosed before" in cli.ok("tickets", "show", "1")
    (former,) = cli.json("tickets", "show", "1")["former_diagnoses"]
    assert former["hypothesis"] == "full"


def test_text_of_a_diagnosis_is_never_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = seen(tmp_path, monkeypatch)
    claim = Claim(statement=NASTY, path=NASTY, predicate=Predicate.EQ, value=NASTY)
    other = Alternative(cause=NASTY, hypothesis="o", confidence=0.1, rejected_because=NASTY)
    diagnosis = Diagnosis(
        ticket_id=1,
        cause=NASTY,
        confidence=0.2,
        evidence=[claim],
        alternatives=[other],
        risks=[NASTY],
        components=[NASTY],
        escalate=True,
    )

    async def store() -> None:
        async with TicketDB(cli.db_path) as db:
            await db.add_diagnosis(diagnosis)

    now_do(store())
    for text in (cli.ok("diagnose", "1"), cli.ok("tickets", "show", "1")):
        assert "[bold]b[/bold]" in text
        assert not set(text) & set("\x1b\x07\u202e\u200b")
    assert "is not kept" in cli.fails(2, "diagnose", "1", "--recheck")


def test_a_ticket_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    assert "Ticket 9 not found" in cli.fails(2, "diagnose", "9")


def test_a_ticket_of_no_cluster_cannot_be_diagnosed(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("tickets", "open", "-m", "x")
    assert "belongs to no cluster" in cli.fails(2, "diagnose", "1")


def test_a_cluster_that_is_not_connected_cannot_be_asked(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("tickets", "open", "-m", "x", "--subject", "gone")
    assert "Subject gone not found" in cli.fails(2, "diagnose", "1")


def test_a_cluster_that_nobody_looked_at_cannot_be_diagnosed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = install(monkeypatch, FakePlugin(subject=FakeSubject()))
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x")
    cli.ok("tickets", "open", "-m", "x", "--subject", "fake")
    assert "operator monitor run" in cli.fails(2, "diagnose", "1")
    assert plugin.subject.closed
