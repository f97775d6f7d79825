from functools import partial
from pathlib import Path

import pytest

from cli_kit import NASTY, Cli, FakePlugin, FakeSubject, install, part, unreachable
from operator_core.runtime import plugins


def test_a_cluster_is_looked_at_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = install(monkeypatch)
    cli = Cli(tmp_path)
    data = cli.json("connect", "fake", "--address", "here", "--name", "prod", "--secure")
    settings = {"address": "here", "name": "prod", "retries": 3, "secure": True}
    assert (data["name"], data["plugin"], data["settings"]) == ("prod", "fake", settings)
    assert data["observation"]["complete"] is True
    assert "clean" in [one["name"] for one in data["actions"]]
    assert plugin.asked_with == [settings]
    assert plugin.subject.closed
    listed = cli.json("connect")
    assert [one["settings"] for one in listed["connected"]] == [settings]
    assert listed["plugins"] == ["fake"]


def test_what_it_sees_and_may_do_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"stores": part({"s1": 0.1}), NASTY: part({}, error=f"refused {NASTY}")}
    install(monkeypatch, FakePlugin(subject=FakeSubject(parts=parts)))
    text = Cli(tmp_path).ok("connect", "fake", "--address", NASTY)
    assert "Free some space" in text
    assert "refused [/x] [bold]b[/bold]" in text
    assert not set(text) & set("\x1b\x07\u202e\u200b")
    assert "operator up" in text


def test_a_name_that_is_not_given_is_that_of_the_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    assert Cli(tmp_path).json("connect", "fake", "--address", "x")["settings"]["name"] == "fake"


def test_a_cluster_that_cannot_be_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = install(monkeypatch, unreachable())
    cli = Cli(tmp_path)
    assert "no answer [/x]" in cli.fails(6, "connect", "fake", "--address", "x")
    assert plugin.subject.closed
    assert cli.json("connect")["connected"] == []
    data = cli.json("connect", "fake", "--address", "x", "--no-check")
    assert data["observation"] is None
    assert len(cli.json("connect")["connected"]) == 1


def test_a_cluster_of_which_nothing_is_seen_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"stores": part({}, error="refused")}
    install(monkeypatch, FakePlugin(subject=FakeSubject(parts=parts)))
    message = Cli(tmp_path).fails(6, "connect", "fake", "--address", "x")
    assert "(refused)" in message
    assert "--no-check" in message


@pytest.mark.parametrize("error", [ValueError("bad part"), SystemExit("bad part")])
def test_a_fault_of_a_subject_is_not_told_as_one_of_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Its author looked for the fault in Operator."""
    subject = FakeSubject()
    monkeypatch.setattr(subject, "observe", partial(_fails, error))
    install(monkeypatch, FakePlugin(subject=subject))
    message = Cli(tmp_path).fails(6, "connect", "fake", "--address", "x")
    assert "fault in Operator" not in message
    assert "subject's code" in message or "The code that looks at fake failed" in message


async def _fails(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fake",), "address: is missing"),
        (("fake", "--retries", "many", "--address", "x"), "retries: must be int"),
        (("fake", "--retries", "-1", "--address", "x"), "retries: must be at least 0"),
        (("fake", "--address", "x", "--name", " "), "--name is empty"),
        (("fake", "--unknown", "x"), "--unknown"),
        (("other",), "No plugin 'other' is installed. Installed:"),
        (("fak",), "Did you mean 'fake'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    install(monkeypatch)
    cli = Cli(tmp_path)
    assert message in " ".join(cli.fails(2, "connect", *arguments).split())
    assert not cli.db_path.exists()


def test_the_help_has_the_plugins_settings_and_no_markup_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    text = Cli(tmp_path).ok("connect", "fake", "--help")
    assert "--address" in text
    assert "Where it is [bold]" in text
    assert "Clusters in memory [/x]" in text
    assert "--no-secure" in text
    assert "operator connect fake --address" in text


def test_plugins_are_listed_without_being_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)

    def refuse(name: str) -> FakePlugin:
        raise AssertionError(name)

    monkeypatch.setattr(plugins, "load_plugin", refuse)
    cli = Cli(tmp_path)
    assert "fake" in cli.ok("connect", "--help")
    assert "fake" in cli.ok("connect")


def test_without_a_plugin_there_is_nothing_to_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "_entry_points", dict)
    assert "Plugins: none" in Cli(tmp_path).ok("connect")
