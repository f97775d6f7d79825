"""Whatever prints data prints valid JSON where that is asked for, and nothing else."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cli_kit import Cli, add_proposals, add_workflow, now_do
from operator_core.db.actions import ActionDB
from operator_core.runtime.policy_file import PolicyKeeper
from test_cli_diagnose import seen
from test_cli_main import every_command

READING: Mapping[str, tuple[str, ...]] = {
    "connect": (),
    "tickets list": ("--all",),
    "tickets show": ("1",),
    "rules list": (),
    "diagnose show": ("1",),
    "diagnose recheck": ("1",),
    "timeline": ("1",),
    "incident export": ("1", "--to", "incident.zip"),
    "incident check": ("incident.zip",),
    "replay": ("incident.zip",),
    "audit list": (),
    "audit verify": (),
    "actions list": (),
    "actions show": ("1",),
    "workflows list": (),
    "workflows show": ("1",),
    "schedules list": (),
    "schedules show": ("nightly",),
    "policy default": (),
    "policy show": (),
    "policy check": ("policy.toml",),
    "policy diff": ("policy.toml", "policy.toml"),
    "effects list": (),
    "twin report": (),
    "snooze list": (),
    "mode": (),
    "ledger check": (),
    "ledger info": (),
    "ledger backup": ("backup.db",),
    "doctor": (),
}
"""Each command that prints what is there, with arguments that find something."""

CHANGING = {
    "demo": "", "up": "", "kill": "",
    "monitor": "run",
    "agent": "start",
    "tickets": "open ack comment resolve hold unhold",
    "rules": "set reset",
    "actions": "propose approve reject cancel retry settle",
    "workflows": "approve cancel pause resume",
    "schedules": "add enable disable remove",
    "policy": "test explain",
    "effects": "release renew",
    "snooze": "add end",
    "guards": "check",
    "ledger": "copy prune",
}  # fmt: skip
"""What changes something, runs on, or needs more than a ledger: other tests have those."""

GROUPS = {name for name, *inner in every_command() if inner}


async def put_a_policy_in_force(path: Path) -> None:
    async with ActionDB(path) as db:
        await PolicyKeeper(db.ledger, None).start()


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """Return a command line on a ledger in which there is one of most things."""
    folder = tmp_path_factory.mktemp("json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = seen(folder, patch)
        now_do(add_proposals(made.db_path))
        now_do(add_workflow(made.db_path))
        now_do(put_a_policy_in_force(made.db_path))
        made.ok("diagnose", "1")
        made.ok("schedules", "add", "nightly", "wait", "-p", "seconds=1", "--cron", "0 3 * * *")
        Path("policy.toml").write_text(made.ok("policy", "default"), "utf-8")
        made.ok("incident", "export", "1", "--to", "incident.zip")
        yield made


@pytest.mark.parametrize("words", list(READING))
def test_what_is_asked_for_as_json_is_json_and_nothing_else(cli: Cli, words: str) -> None:
    result = cli.invoke(*words.split(), *READING[words], "--json")
    assert result.exit_code in {0, 1}, result.output
    assert isinstance(json.loads(result.stdout), dict | list)


def test_no_command_is_forgotten() -> None:
    changing = {f"{group} {one}" for group, inner in CHANGING.items() for one in inner.split()}
    changing |= {group for group, inner in CHANGING.items() if not inner}
    every = {" ".join(one) for one in every_command()} - (GROUPS - READING.keys())
    assert every == READING.keys() | changing
