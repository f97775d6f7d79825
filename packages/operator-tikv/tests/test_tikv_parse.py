"""The texts and bodies of PD's answers, in every form that was ever printed."""

import contextlib
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.pd.operators import OperatorStatus, read_operator, read_status
from operator_tikv.pd.parse import (
    decode_json,
    duration_seconds,
    fit,
    moment_of_http_date,
    moment_of_nanoseconds,
    reason_of,
    shorten,
    size_bytes,
)
from operator_tikv.pd.types import RegionInfo, Stores
from tikv_support import fixture

GIB = 1024**3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.465TiB", round(1.465 * 1024 * GIB)),
        ("432GiB", 432 * GIB),
        ("20 GiB", 20 * GIB),
        ("102 GB", 102 * GIB),
        ("0B", 0),
        ("512KiB", 512 * 1024),
        ("1e+03MiB", 1000 * 1024**2),
        ("17", 17),
        (" 4.071GiB ", round(4.071 * GIB)),
        (12, 12),
    ],
)
def test_a_size_is_read_in_every_form_that_pd_has_printed(text: object, expected: int) -> None:
    assert size_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GiB", "12 parsecs", "1.2.3GiB", "-1GiB", "nan"])
def test_a_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size_bytes(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m0s", 1800.0),
        ("1h0m0s", 3600.0),
        ("5h15m29.382630989s", 18929.382630989),
        ("10ms", 0.01),
        ("1.5µs", 1.5e-6),
        ("0s", 0.0),
        ("0", 0.0),
        ("-2m", -120.0),
    ],
)
def test_a_go_duration_is_read(text: str, seconds: float) -> None:
    value = duration_seconds(text)
    assert isinstance(value, float)
    assert math.isclose(value, seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "1 h", "1h foo"])
def test_a_text_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        duration_seconds(text)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'"[PD:core:ErrStoreNotFound]store 9 not found"\n', "[PD:core:ErrStoreNotFound]store 9"),
        (b'{"code":"input","msg":"bad id","data":null}', "bad id"),
        (rb'"\"[PD:core:ErrStoreNotFound]store 99 not found\"\n"', "[PD:core:ErrStoreNotFound]"),
        (b"404 page not found", "404 page not found"),
        (b"", ""),
        (b"null", "null"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_reason_is_found_in_strings_objects_and_texts(body: bytes, reason: str) -> None:
    assert reason_of(body).startswith(reason)


@given(st.text())
def test_a_text_from_a_cluster_becomes_one_short_printable_line(text: str) -> None:
    short = shorten(text)
    assert len(short) <= 400
    assert not short or short.isprintable()


@given(st.binary())
def test_any_body_gives_a_reason_or_a_clear_error(body: bytes) -> None:
    assert isinstance(reason_of(body), str)
    with contextlib.suppress(PdAnswerError):
        decode_json(body)


@pytest.mark.parametrize("body", [b"<html>", b'{"a":', b"[" * 100_000, b"NaN", b""])
def test_a_body_that_is_no_json_is_a_clear_error(body: bytes) -> None:
    with pytest.raises(PdAnswerError, match="no JSON"):
        decode_json(body)


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text",
        {"stores": [{}]},
        {"stores": [{"store": {"id": 0}}]},
        {"stores": [{"store": {"id": 1}, "status": {"capacity": "much"}}]},
        {"stores": {"1": 2}},
    ],
)
def test_an_answer_of_another_shape_is_a_clear_error(value: object) -> None:
    with pytest.raises(PdAnswerError, match="GET /stores has an unknown shape"):
        fit(Stores, value, "GET /stores")  # type: ignore[arg-type]  # any JSON


def test_a_region_may_have_null_lists_and_no_leader() -> None:
    body = b'{"id": 4, "peers": null, "leader": null, "down_peers": null}'
    region = fit(RegionInfo, decode_json(body), "GET /region/id/4")
    assert (region.peers, region.leader_store_id) == ([], 0)


def test_a_moment_comes_from_nanoseconds_and_from_a_date_header() -> None:
    assert moment_of_nanoseconds(1_614_574_906_118_033_724) == datetime(
        2021, 3, 1, 5, 1, 46, 118033, tzinfo=UTC
    )
    assert moment_of_nanoseconds(0) is None
    assert moment_of_nanoseconds(2**200) is None
    assert moment_of_http_date("Mon, 01 Mar 2021 05:01:46 GMT") == datetime(
        2021, 3, 1, 5, 1, 46, tzinfo=UTC
    )
    assert moment_of_http_date("tomorrow") is None
    assert moment_of_http_date(None) is None


def test_an_operator_is_read_in_its_old_form() -> None:
    text = fixture("fx_operator_string_replace_down.json")
    operator = read_operator(text)
    assert (operator.name, operator.region_id, operator.step) == ("replace-down-replica", 10, 0)
    assert operator.adds_to_store == 3
    for later in (1, 2, 3):
        moved_on = read_operator(text.replace("currentStep:0", f"currentStep:{later}"))
        assert (moved_on.step, moved_on.adds_to_store) == (later, 0)


def test_an_operator_is_read_in_its_new_form() -> None:
    text = (
        "status: RUNNING, operator: admin-move-peer {mv peer: store [1] to [4]} "
        "(kind:region,admin, region:10(4, 5), createAt:2024-02-21, currentStep:1, size:56)"
    )
    operator = read_operator(text)
    assert (operator.name, operator.region_id, operator.step) == ("admin-move-peer", 10, 1)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("status: RUNNING, operator: x", OperatorStatus.RUNNING),
        ("status: TIMEOUT, operator: x", OperatorStatus.TIMEOUT),
        ("status: STARTED, operator: x", OperatorStatus.RUNNING),
        ("status: DREAMING, operator: x", OperatorStatus.OTHER),
        ("hello", OperatorStatus.OTHER),
    ],
)
def test_the_status_of_an_operator_is_read(text: str, status: OperatorStatus) -> None:
    assert read_status(text) is status
