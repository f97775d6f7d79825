import time
from datetime import UTC, datetime

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from operator_core.cli.render import console, table
from operator_core.cli.text import given, local_time, one_line
from operator_core.errors import RequestError
from operator_core.visible import visible


@examples(st.text(st.characters()))
def test_nothing_that_is_shown_can_act_on_the_terminal(text: str) -> None:
    assert all(char.isprintable() or char == "\n" for char in visible(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢 😀", "plain ä 漢 😀"),
        ("[/x] [bold]", "[/x] [bold]"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("bell\x07 back\x08", "bell\\x07 back\\x08"),
        ("safe\u202egnp.exe", "safe\\u202egnp.exe"),
        ("no\u200bwidth", "no\\u200bwidth"),
        ("a\r\nb\rc", "a\nb\\rc"),
        ("tab\there\u00a0there", "tab here there"),
        ("\udc80", "\\udc80"),
        ("line\u2028end", "line\\u2028end"),
    ],
)
def test_what_does_not_show_itself_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_is_one_line_of_limited_length() -> None:
    assert one_line("a\n\n  b\tc") == "a b c"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"


def test_a_time_is_shown_in_local_time_with_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert local_time(datetime(2026, 7, 1, 10, tzinfo=UTC)) == "2026-07-01 12:00:00 CEST"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "  ", "\n", "a\udc80b"])
def test_text_that_a_person_gives_must_be_text(text: str) -> None:
    with pytest.raises(RequestError, match="The comment"):
        given(text, "The comment")


def test_text_that_a_person_gives_loses_blanks_at_its_ends() -> None:
    assert given("  hello \n", "x") == "hello"


def test_a_giant_name_leaves_room_for_the_other_columns(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(table("T", ("who", "what"), [("x" * 300, "a true word")]))
    assert "a true word" in capsys.readouterr().out
