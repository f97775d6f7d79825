"""How groups look on the command line, and in an incident's file."""

from pathlib import Path

from cli_kit import Cli, now_do
from test_db_groups import desk, pair


async def _grouped(folder: Path) -> None:
    async with desk(folder) as one:
        await one.seen("other:store-1")
        await pair(one)


def grouped(tmp_path: Path) -> Cli:
    """Return a command line whose ledger has ticket 3 under ticket 2, and ticket 1 alone."""
    cli = Cli(tmp_path)
    now_do(_grouped(tmp_path))
    (tmp_path / "ledger.db").rename(cli.db_path)
    return cli


def test_the_list_shows_followers_under_their_root(tmp_path: Path) -> None:
    cli = grouped(tmp_path)
    listed = cli.ok("tickets", "list")
    assert listed.index("store_silent") < listed.index("↳ 3")
    assert [one["root_ticket_id"] for one in cli.json("tickets", "list")] == [None, None, 2]


def test_a_ticket_shows_what_follows_it(tmp_path: Path) -> None:
    cli = grouped(tmp_path)
    assert "Brought by the same cause" in cli.ok("tickets", "show", "2")
    assert [one["id"] for one in cli.json("tickets", "show", "2")["followers"]] == [3]
    follower = cli.ok("tickets", "show", "3")
    assert "ticket 2" in follower
    assert "operator tickets show 2" in follower
    assert cli.json("tickets", "show", "3")["ticket"]["root_ticket_id"] == 2
