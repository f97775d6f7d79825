"""Texts of sizes, durations, times and keys."""

from __future__ import annotations

import pytest

from operator_tikv.simulator.config import ConfigError, PdConfig, parse_duration_seconds
from operator_tikv.simulator.units import (
    GIB,
    KIB,
    MIB,
    TIB,
    byte_size_text,
    go_duration_text,
    memcomparable_hex,
    nanoseconds,
    rfc3339_nano,
)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0B"),
        (1, "1B"),
        (1536, "1.5KiB"),
        (100 * KIB, "100KiB"),
        (432 * GIB, "432GiB"),
        (int(1.465 * TIB), "1.465TiB"),
        (int(290.7 * MIB), "290.7MiB"),
        (20 * GIB, "20GiB"),
    ],
)
def test_sizes_print_as_in_pd(size_bytes: int, text: str) -> None:
    assert byte_size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.5, "0.5s"),
        (60, "1m0s"),
        (780, "13m0s"),
        (1800, "30m0s"),
        (18929.382630, "5h15m29.38263s"),
    ],
)
def test_durations_print_as_in_go(seconds: float, text: str) -> None:
    assert go_duration_text(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h0m0s", 3600), ("30m0s", 1800), ("10ms", 0.01), ("1.5s", 1.5)]
)
def test_durations_are_read_as_in_go(text: str, seconds: float) -> None:
    assert parse_duration_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["soon", "5", "5x", "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_duration_seconds(text)


def test_times_drop_trailing_zeros() -> None:
    assert rfc3339_nano(1_735_095_903) == "2024-12-25T03:05:03Z"
    assert rfc3339_nano(1_735_098_083.48) == "2024-12-25T03:41:23.48Z"
    assert nanoseconds(1_735_098_083.480549) == 1_735_098_083_480_549_000


def test_keys_are_encoded_as_in_the_captured_region() -> None:
    raw = b"t" + bytes([0x80, 0, 0, 0, 0, 0, 0, 0x53])
    assert memcomparable_hex(raw) == "7480000000000000FF5300000000000000F8"


@pytest.mark.parametrize(
    ("item", "value", "shown"),
    [
        ("schedule.leader-schedule-limit", 8, 8),
        ("leader-schedule-limit", "8", 8),
        ("low-space-ratio", 0.9, 0.9),
        ("enable-make-up-replica", "false", False),
        ("max-store-down-time", "45m0s", "45m0s"),
    ],
)
def test_config_items_take_the_type_they_had(item: str, value: object, shown: object) -> None:
    config = PdConfig()
    config.update(item, value)
    assert config.schedule[item.removeprefix("schedule.")] == shown


@pytest.mark.parametrize(
    ("item", "value"), [("odd", 1), ("leader-schedule-limit", "x"), ("max-replicas", None)]
)
def test_config_refuses_what_does_not_fit(item: str, value: object) -> None:
    with pytest.raises(ConfigError):
        PdConfig().update(item, value)
