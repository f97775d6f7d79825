"""Servers that are no PD, or a sick one: each wait is bounded, and a good member is found."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc

import httpx
import pytest

from hostile_server import HOSTILE, STORES, response, serving
from operator_core.errors import (
    ActionFailedError,
    OutcomeUnknownError,
    SubjectError,
    SubjectUnreachableError,
)
from operator_tikv.compare.run import compare, report_of
from operator_tikv.compare.script import SCRIPT
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import PdClient

LIMIT_BYTES = 1 << 20
PATIENCE_SECONDS = 20.0
"""Ends a test that would wait for ever; no test measures by it."""

pytestmark = pytest.mark.real


def client(*urls: str) -> PdClient:
    return PdClient(urls, timeout_seconds=0.5, whole_seconds=1.0, limit_bytes=LIMIT_BYTES)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_good_member_is_found_behind_a_bad_one(name: str) -> None:
    async with serving(HOSTILE[name]) as bad, serving(response(STORES)) as good:
        made = client(bad.url, good.url)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await PdApi(made).stores())[0] == []
            assert made.url == good.url
            await PdApi(made).stores()
        assert len(bad.requests) == 1, "the good one is asked first from now on"
        await made.close()


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_bad_one_alone_is_a_clear_error_after_a_bounded_time(name: str) -> None:
    async with serving(HOSTILE[name]) as bad:
        made = client(bad.url)
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(SubjectError) as caught:
                await PdApi(made).stores()
        assert str(caught.value).isprintable()
        # On a busy machine the client may give up before the server has read what it asked.
        assert set(bad.requests) <= {"GET /pd/api/v1/stores HTTP/1.1"}, "no redirect is followed"
        await made.close()


async def test_no_more_than_the_limit_is_kept_in_memory() -> None:
    async with serving(HOSTILE["flood"]) as bad:
        made = client(bad.url)
        tracemalloc.start()
        with pytest.raises(SubjectError):
            await PdApi(made).stores()
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak_bytes < 32 * LIMIT_BYTES
        await made.close()


@pytest.mark.parametrize("name", ["hang", "trickle", "flood", "cut", "reset", "html", "no http"])
async def test_an_effect_that_a_bad_member_may_have_taken_is_unknown(name: str) -> None:
    async with serving(HOSTILE[name]) as bad, serving(response(b'"done"')) as other:
        made = client(bad.url, other.url)
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(OutcomeUnknownError):
                await PdApi(made).add_operator("transfer-leader", region_id=1, to_store_id=2)
        assert other.requests == [], "it is never sent twice"
        await made.close()


@pytest.mark.parametrize("name", ["redirect", "redirect to itself"])
async def test_a_redirect_of_an_effect_is_not_followed(name: str) -> None:
    async with serving(HOSTILE[name]) as bad:
        made = client(bad.url)
        with pytest.raises(ActionFailedError):
            await PdApi(made).add_operator("transfer-leader", region_id=1, to_store_id=2)
        assert bad.requests == ["POST /pd/api/v1/operators HTTP/1.1"]
        await made.close()


async def test_a_packed_answer_of_a_strange_type_is_read() -> None:
    packed = response(
        gzip.compress(STORES), Content_Encoding="gzip", Content_Type="image/png; charset=x"
    )
    async with serving(packed) as server:
        made = client(server.url)
        assert (await PdApi(made).stores())[0] == []
        await made.close()


async def test_members_that_are_dead_cost_one_try_each() -> None:
    async with serving(response(STORES)) as gone:
        pass
    async with serving(response(STORES)) as good:
        made = client(gone.url, good.url)
        assert (await PdApi(made).stores())[0] == []
        assert made.url == good.url
        await made.close()


def test_the_client_of_httpx_follows_nothing_by_itself() -> None:
    assert httpx.AsyncClient().follow_redirects is False


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_comparison_with_a_bad_server_ends_and_only_reads(name: str) -> None:
    async with serving(HOSTILE[name]) as bad, httpx.AsyncClient(trust_env=False) as http:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = await compare(http, bad.url, timeout_seconds=0.3, whole_seconds=3.0)
        except SubjectUnreachableError:
            found = []
        report = report_of(bad.url, found)
        assert len(found) in {0, len(SCRIPT)}
        assert not found or not report.is_good
        assert {line.split()[0] for line in bad.requests} == {"GET"}
