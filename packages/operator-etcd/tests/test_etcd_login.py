"""An etcd with authentication: who Operator is, with and without a token that holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import respx

from etcd_gateway import Gateway
from etcd_samples import url
from operator_core.call_failures import FailureKind, NotSentError, RejectedError
from operator_core.errors import ConfigurationError
from operator_core.plugin_settings import credentials
from operator_core.types import JsonObject
from operator_etcd.client import EtcdClient
from operator_etcd.login import Login

HERE = url("11")
PASSWORD = "of-nobody"


class Guarded:
    """A gateway that defragments for whoever has the newest token."""

    def __init__(self, gateway: Gateway) -> None:
        self.tokens = 0
        self.done = 0
        self.asked = list[JsonObject]()
        self.answer: httpx.Response | Exception | None = None
        router = gateway.router
        router.post(f"{HERE}/v3/auth/authenticate").mock(side_effect=self._authenticate)
        router.post(f"{HERE}/v3/maintenance/defragment").mock(side_effect=self._defragment)

    async def _authenticate(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        self.asked.append(json.loads(request.content))
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        self.tokens += 1
        return httpx.Response(200, json={"token": f"token.{self.tokens}"})

    def _defragment(self, request: httpx.Request) -> httpx.Response:
        token = request.headers.get("Authorization")
        if token == f"token.{self.tokens}":
            self.done += 1
            return httpx.Response(200, json={})
        said = "auth: user name is empty" if token is None else "etcdserver: invalid auth token"
        return httpx.Response(500, json={"message": said, "code": 2})


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    with respx.mock(assert_all_called=False) as router:
        yield Guarded(Gateway(router))


@pytest.fixture
async def client() -> AsyncIterator[EtcdClient]:
    made = EtcdClient([HERE], login=Login(lambda: ("operator", PASSWORD)))
    yield made
    await made.close()


async def test_a_token_is_asked_for_once_and_used_again(
    guarded: Guarded, client: EtcdClient
) -> None:
    await client.defragment(HERE)
    await client.defragment(HERE)
    assert guarded.done == 2
    assert guarded.asked == [{"name": "operator", "password": PASSWORD}]


async def test_a_token_that_has_run_out_is_asked_for_again(
    guarded: Guarded, client: EtcdClient
) -> None:
    await client.defragment(HERE)
    guarded.tokens += 1  # etcd has forgotten the one that was given
    await client.defragment(HERE)
    assert (guarded.done, len(guarded.asked)) == (2, 2)


async def test_a_password_that_was_changed_is_read_again(guarded: Guarded, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    read = credentials({"username": "operator", "password_file": str(file)})
    assert read is not None
    client = EtcdClient([HERE], login=Login(read))
    await client.defragment(HERE)
    file.write_text("second\n")
    guarded.tokens += 1
    await client.defragment(HERE)
    assert [one["password"] for one in guarded.asked] == ["first", "second"]
    file.unlink()
    guarded.tokens += 1
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await client.defragment(HERE)
    await client.close()


async def test_many_who_are_refused_at_once_ask_for_one_token(
    guarded: Guarded, client: EtcdClient
) -> None:
    await asyncio.gather(*(client.defragment(HERE) for _ in range(5)))
    assert (guarded.done, len(guarded.asked)) == (5, 1)


async def test_a_wrong_password_is_a_refusal_that_says_what_to_look_at(
    guarded: Guarded, client: EtcdClient
) -> None:
    words = "etcdserver: authentication failed, invalid user ID or password"
    guarded.answer = httpx.Response(400, json={"message": words, "code": 3})
    with pytest.raises(RejectedError, match="password_file") as caught:
        await client.defragment(HERE)
    assert PASSWORD not in str(caught.value)
    assert guarded.done == 0


async def test_without_a_token_the_call_was_surely_not_sent(
    guarded: Guarded, client: EtcdClient
) -> None:
    guarded.answer = httpx.ReadTimeout("slow")
    with pytest.raises(NotSentError, match="no token could be had") as caught:
        await client.defragment(HERE)
    assert caught.value.kind is FailureKind.TIMEOUT


async def test_nobody_is_asked_for_a_token_where_no_user_was_given(guarded: Guarded) -> None:
    client = EtcdClient([HERE])
    with pytest.raises(RejectedError, match="username"):
        await client.defragment(HERE)
    assert guarded.asked == []
    await client.close()
