"""`operator policy`, and approving under a policy, at the command line."""

import pwd
from pathlib import Path

import pytest

from cli_kit import Cli, FakePlugin, install, now_do
from operator_core.actions.policy import load, shipped_policy
from operator_core.actions.types import ActionProposal, SafetyMode
from operator_core.db.actions import ActionDB
from operator_core.db.checked import CheckedCall
from operator_core.db.control import ControlDB
from operator_core.db.policy import PolicyDB

TWO = """
[roles]
anybody = ["*"]
[[rule]]
name = "two people"
effect = "approve"
approvals = [{ role = "anybody", count = 2 }]
"""
CASES = """
[[case]]
name = "looking"
request = { action = "look", tags = "read-only" }
expect = { effect = "auto", rule = "looking" }
"""


def acting_as(monkeypatch: pytest.MonkeyPatch, cli: Cli, user: str) -> Cli:
    """Let the operating system know this process by another name."""
    entry = pwd.struct_passwd((user, "x", 1, 1, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    cli.person = user
    return cli


def under(tmp_path: Path, text: str) -> Cli:
    """Return a command line on a ledger with a policy and one valid proposal."""
    cli = Cli(tmp_path)

    async def fill() -> None:
        async with ActionDB(cli.db_path) as db:
            await ControlDB(db.ledger).set_mode(SafetyMode.EXECUTE, actor="root")
            await PolicyDB(db.ledger).enforce(load(text), source="test", actor="root")
            await db.create_proposal(ActionProposal(action_name="clean", reason="full"))
            await db.validate_proposal(
                1, lambda one: CheckedCall(one.parameters, disruptive=False), auto_approve=True
            )

    now_do(fill())
    return cli


def test_the_shipped_policy_is_printed_and_passes_its_own_check(tmp_path: Path) -> None:
    cli, file = Cli(tmp_path), tmp_path / "p.toml"
    file.write_text(cli.ok("policy", "default"), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == shipped_policy()
    assert "can be used" in cli.ok("policy", "check", str(file))
    assert cli.json("policy", "check", str(file))["warnings"] == []


def test_a_faulty_policy_is_told_in_one_line(tmp_path: Path) -> None:
    cli, file = Cli(tmp_path), tmp_path / "p.toml"
    file.write_text("rules = 1", encoding="utf-8")
    assert "rules: is no key of it" in cli.fails(2, "policy", "check", str(file))
    assert "cannot be read" in cli.fails(2, "policy", "check", str(tmp_path))


def test_what_is_hardly_meant_is_noted(tmp_path: Path) -> None:
    cli, file = Cli(tmp_path), tmp_path / "p.toml"
    rule = '[[rule]]\nname = "a"\neffect = "approve"\nmatch = { tags = "data-los" }\n'
    file.write_text(f'[roles]\nnobody = []\n{rule}approvals = [{{ role = "nobody" }}]')
    found = cli.json("policy", "check", str(file))["warnings"]
    assert len(found) == 2
    assert "'data-los'" in found[0]


def test_cases_are_asked_and_a_wrong_one_is_an_exit_code(tmp_path: Path) -> None:
    cli, file, cases = Cli(tmp_path), tmp_path / "p.toml", tmp_path / "c.toml"
    file.write_text(shipped_policy(), encoding="utf-8")
    cases.write_text(CASES, encoding="utf-8")
    assert "0 of 1 wrong" in cli.ok("policy", "test", str(file), str(cases))
    cases.write_text(CASES.replace("auto", "deny"), encoding="utf-8")
    result = cli.invoke("policy", "test", str(file), str(cases))
    assert (result.exit_code, "1 of 1 wrong" in result.stdout) == (1, True)


def test_two_people_approve_and_explain_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = acting_as(monkeypatch, under(tmp_path, TWO), "ann")
    assert "2 of anybody" in cli.ok("policy", "explain", "1")
    told = cli.ok("actions", "approve", "1")
    assert "has the word of ann; still needed: 1 of anybody" in told
    assert "already" in cli.fails(4, "actions", "approve", "1")
    acting_as(monkeypatch, cli, "bob")
    assert "is approved by bob" in cli.ok("actions", "approve", "1")
    shown = cli.json("actions", "show", "1")
    assert shown["proposal"]["approved_by"] == "ann, bob"
    assert [word["approver"] for word in shown["approvals"]] == ["ann", "bob"]
    assert cli.json("policy", "explain", "1")["lacks"] == []


def test_nobody_approves_in_anothers_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = acting_as(monkeypatch, under(tmp_path, TWO), "ann")
    cli.person = "bob"
    assert "you are ann, not bob" in cli.fails(2, "actions", "approve", "1")


def test_diff_shows_what_would_flip(tmp_path: Path) -> None:
    cli, new, old = under(tmp_path, TWO), tmp_path / "new.toml", tmp_path / "old.toml"
    old.write_text(TWO, encoding="utf-8")
    new.write_text('[[rule]]\nname = "stop"\neffect = "deny"', encoding="utf-8")
    found = cli.json("policy", "diff", str(old), str(new), "--since", "90d")
    assert found["decisions"] == 1
    (flip,) = found["flips"]
    assert (flip["old"], flip["new"]) == ("approve by 2 of anybody (two people)", "deny (stop)")
    assert "0 of 1" in cli.ok("policy", "diff", str(old), str(old))


def test_up_brings_the_shipped_policy_and_doctor_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakePlugin())
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x", "--no-check")
    assert "No policy is in force" in cli.fails(2, "policy", "show")
    assert "is in force" in cli.ok("up", "--lifetime-seconds", "0.2")
    assert cli.json("policy", "show")["text"] == shipped_policy()
    found = {one["check"]: one["detail"] for one in cli.json("doctor", "--no-reach")}
    assert "shipped with Operator" in found["policy"]
