import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from cli_kit import NASTY, Cli, install
from operator_core import errors
from operator_core.cli.failures import exit_code_of
from operator_core.cli.main import COMMANDS, OperatorGroup, app

HEAVY = ("asyncio", "httpx", "pydantic", "sqlite3", "operator_core.db")


def group() -> OperatorGroup:
    """Return the root of the command line."""
    found = typer.main.get_command(app)
    assert isinstance(found, OperatorGroup)
    return found


def every_command() -> Iterator[tuple[str, ...]]:
    """Yield the words of each command and each group."""
    for name in COMMANDS:
        yield (name,)
        loaded = group().load(name)
        if isinstance(loaded, TyperGroup) and name != "connect":
            yield from ((name, inner) for inner in loaded.commands)


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_each_help_has_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], prog_name="operator")
    assert result.exit_code == 0
    assert "Example:" in result.stdout
    assert f"operator {words[0]}" in result.stdout.partition("Example:")[2]


def test_the_help_lists_every_command_and_what_exit_codes_mean() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout
    assert all(f"│ {name} " in text for name in COMMANDS)
    assert "Exit codes" in text


def test_the_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from operator_core.cli.main import app; import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    app(['--help'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("operator ")


def test_an_unknown_command_is_answered_with_a_near_one(tmp_path: Path) -> None:
    assert "tickets" in Cli(tmp_path).fails(2, "ticket")


# --- global options ---------------------------------------------------------------------


def test_global_options_stand_anywhere(tmp_path: Path) -> None:
    Cli(tmp_path).ok("tickets", "open", "-m", "x")
    path = str(tmp_path / "operator.db")
    late = ["--db", path, "--as", "bob"]
    for words in (
        ["--db", path, "--as", "bob", "--json", "tickets", "comment", "1", "x"],
        ["tickets", "--db", path, "--as", "bob", "--json", "comment", "1", "x"],
        ["tickets", "comment", "1", "x", "--db", path, "--as", "bob", "--json"],
        ["--db", "/no", "--as", "al", "--json", "tickets", "comment", "1", "x", *late],
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        assert '"author": "bob"' in result.stdout


def test_the_environment_names_the_ledger_unless_an_option_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPERATOR_DB", str(tmp_path / "named.db"))
    assert CliRunner().invoke(app, ["mode", "execute"]).exit_code == 0
    assert (tmp_path / "named.db").exists()
    Cli(tmp_path).ok("mode", "execute")
    assert (tmp_path / "operator.db").exists()


def test_without_a_name_the_ledger_lies_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPERATOR_DB", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["mode", "execute"]).exit_code == 0
    assert (tmp_path / ".operator" / "operator.db").exists()


def test_the_person_is_the_user_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "carol")
    words = ["--db", str(tmp_path / "x.db"), "mode", "execute", "--json"]
    assert '"changed_by": "carol"' in CliRunner().invoke(app, words).stdout
    assert "--as is empty" in Cli(tmp_path, person=" ").fails(2, "mode")


# --- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RequestError("x"), 2),
        (errors.ConfigurationError("x"), 2),
        (errors.ValidationError("a", ["b"]), 2),
        (errors.ObserveOnlyError(), 3),
        (errors.TransitionError("x"), 4),
        (errors.ConstraintError("x"), 4),
        (errors.LedgerBusyError("x"), 5),
        (errors.SubjectUnreachableError("x"), 6),
        (errors.OperatorError("x"), 1),
    ],
)
def test_the_branch_of_an_error_is_its_exit_code(error: errors.OperatorError, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RuntimeError(f"oh {NASTY}"), 70, "fault in Operator"),
        (OverflowError(), 70, "OverflowError"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (MemoryError(), 1, "(MemoryError). Raise its limits"),
        (RuntimeError("can't start new thread"), 1, "Raise its limits"),
        (BlockingIOError(errno.EAGAIN, "no process"), 1, "Raise its limits"),
        (errors.SubjectError(f"a\nb {NASTY}"), 6, "Error: a b [/x] [bold]b"),
    ],
)
def test_every_error_is_one_line_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def fail() -> list[str]:
        raise error

    install(monkeypatch)
    monkeypatch.setattr("operator_core.runtime.plugins.plugin_names", fail)
    text = Cli(tmp_path).fails(code, "connect")
    assert message in text
    assert text.count("\n") == 1
    assert not set(text) & set("\x1b\x07\u202e\u200b")


def test_a_traceback_is_shown_only_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> list[str]:
        raise RuntimeError("oh")

    monkeypatch.setattr("operator_core.runtime.plugins.plugin_names", fail)
    words = ["--db", str(tmp_path / "x.db"), "--debug", "connect"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 70
    assert "Traceback" in result.stderr
