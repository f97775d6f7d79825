"""Hostile, broken and foreign answers of PD: a value or a clear error, never a traceback."""

import asyncio
import contextlib
import json
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from operator_core.agent.rules import diagnose
from operator_core.errors import SubjectError
from operator_core.monitor.types import Observation
from operator_core.testing.clock import ManualClock
from operator_tikv.hypotheses import HYPOTHESES
from operator_tikv.invariants import INVARIANTS
from operator_tikv.pd.client import PdClient
from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.pd.operators import read_operator, read_status
from operator_tikv.pd.parse import decode_json, duration_seconds, size_bytes
from operator_tikv.simulator import SimulatedCluster, front
from operator_tikv.simulator.api.http import Call
from operator_tikv.subject import TikvSubject
from tikv_support import NOW, PD_URL

Json = Any
MANY = "9" * 5000
HOSTILE: list[Json] = [
    None,
    "",
    "0",
    "-1",
    "true",
    "nan",
    "1e999",
    MANY,
    f"{MANY}GiB",
    f"{MANY}h",
    f"evict-leader-scheduler-{MANY}",
    f"admin-x {{x}} (region:{MANY}(1, 1), currentStep:{MANY})",
    "\x00 zero",
    "\ud800 alone",
    "[bold]x[/bold]\n\x1b[31m",
    "0001-01-01T00:00:00Z",
    "2026-13-45T99:99:99Z",
    0,
    -1,
    1.5,
    2**53 + 1,
    2**64 - 1,
    10**400,
    True,
    [],
    {},
    [None],
    [[]],
    {"": None},
    {"code": "input", "msg": {"nested": []}, "data": None},
]


@cache
def answers() -> dict[str, tuple[int, bytes]]:
    """What PD answers to each read of a look at a cluster in which much is wrong."""
    cluster = SimulatedCluster(seed=7, stores=4, regions=40)
    cluster.advance(30)
    cluster.begin_fault("evict_leader", stores=[2])
    cluster.begin_fault("gc_block", age="30h")
    cluster.begin_fault("hot_region", kind="write", mib_per_second=80)
    cluster.begin_fault("stop", stores=[4])
    cluster.advance(700)
    known: dict[str, tuple[int, bytes]] = {}

    def handle(request: httpx.Request) -> httpx.Response:
        call = Call("GET", request.url.path, tuple(request.url.params.multi_items()))
        found = front.answer(cluster, call)
        known[str(request.url)] = (found.status, found.body)
        return httpx.Response(found.status, content=found.body)

    asyncio.run(look(httpx.MockTransport(handle)))
    return known


async def look(transport: httpx.AsyncBaseTransport) -> Observation:
    subject = TikvSubject(PdClient([PD_URL], transport=transport), clock=ManualClock(NOW))
    try:
        return await subject.observe()
    finally:
        await subject.close()


@st.composite
def spoiled(draw: st.DrawFn, value: Json) -> Json:
    """A value with one place in it replaced by something hostile, or left out, or doubled."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from(HOSTILE))
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        middle = draw(st.sampled_from([[], [value[place]] * 2, [draw(spoiled(value[place]))]]))
        return [*value[:place], *middle, *value[place + 1 :]]
    key = draw(st.sampled_from(sorted(value)))
    rest = {name: item for name, item in value.items() if name != key}
    return draw(st.sampled_from([rest, {**rest, key: draw(spoiled(value[key]))}]))


@st.composite
def bodies(draw: st.DrawFn, body: bytes) -> bytes:
    raw = [b"", b"null", b"1e999", b"[" * 3000, b"\xff\xfe\x00", b'"\\ud800"', b"<html>", body[:-9]]
    if not body or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(raw))
    if body.startswith(b"#"):  # a page of metrics
        place, odd = draw(st.integers(0, len(body))), [b"\n", b'{"', b" 1e999 ", b"\xff", b"}"]
        return body[:place] + draw(st.sampled_from(odd)) + body[place:]
    return json.dumps(draw(spoiled(json.loads(body)))).encode()


class Spoiled(dict[str, tuple[int, bytes]]):
    """Answers in place of the right ones; printed short."""

    def __repr__(self) -> str:
        return str({url: (status, body[:2000]) for url, (status, body) in self.items()})


@st.composite
def clusters(draw: st.DrawFn) -> Spoiled:
    """A few spoiled answers."""
    known, found = answers(), Spoiled()
    urls = st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=3, unique=True)
    for url in draw(urls):
        status, body = known[url]
        changed = draw(st.sampled_from([200, 200, 200, 200, 400, 404, 500, 503]))
        found[url] = (changed, draw(bodies(body if status == 200 else b'"no"')))
    return found


@settings(max_examples=40, deadline=None)
@given(clusters())
def test_whatever_pd_answers_a_look_ends_and_is_judged(spoiled_answers: Spoiled) -> None:
    known = {**answers(), **spoiled_answers}

    def handle(request: httpx.Request) -> httpx.Response:
        status, body = known.get(str(request.url), (404, b'"not found"'))
        return httpx.Response(status, content=body)

    observation = asyncio.run(look(httpx.MockTransport(handle)))
    kept = observation.model_dump_json()
    assert "\\u0000" not in kept  # PostgreSQL keeps no such text
    assert Observation.model_validate_json(kept).parts.keys() == observation.parts.keys()
    for rule in (rule for rule in INVARIANTS if observation.sees(rule.needs)):
        for violation in rule.check(observation):
            assert violation.message.isprintable()
            diagnose(violation, observation, HYPOTHESES, now=NOW)


PRINTS = st.text(max_size=60) | st.sampled_from([one for one in HOSTILE if isinstance(one, str)])


@given(PRINTS)
@example(f"balance-region {{mv peer}} (region:{MANY}(1, 2), currentStep:{MANY})")
@example(f"x (kind:a, region:1(1, 1), currentStep:0, steps:[0:{{add peer 1 on store {MANY}}}])")
def test_any_print_of_an_operator_is_read(text: str) -> None:
    found = read_operator(text)
    assert found.text.isprintable()
    assert read_status(text)


@given(PRINTS | st.from_regex(r"[0-9.eE+-]{0,8} ?[KMGTPE]?i?B?", fullmatch=True))
@example("1e999GiB")
def test_any_size_and_duration_is_a_number_or_an_error_of_value(text: str) -> None:
    for read in (size_bytes, duration_seconds):
        try:
            found = read(text)
        except ValueError:
            continue
        assert isinstance(found, int | float)
        assert abs(found) < float("inf")


@pytest.mark.parametrize(
    "body", [b"1e999", b'{"a": -1e999}', b"NaN", b"[" * 3000, b'{"a": Infinity}']
)
def test_a_number_that_is_none_is_a_clear_error(body: bytes) -> None:
    with pytest.raises(PdAnswerError, match="no JSON"):
        decode_json(body)


@pytest.mark.parametrize("body", [b'{"a\\ud800": ["\\udfff", "x\\u0000"]}', b'"\\u0000"'])
def test_text_that_no_database_keeps_is_replaced(body: bytes) -> None:
    kept = json.dumps(decode_json(body), ensure_ascii=False)
    assert kept.encode()
    assert "\\u0000" not in kept


@given(st.binary(max_size=80))
def test_any_body_is_decoded_or_a_clear_error(body: bytes) -> None:
    with contextlib.suppress(SubjectError):
        decode_json(body)
