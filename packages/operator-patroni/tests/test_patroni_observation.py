"""What one look reads, over answers of several versions, of members that are gone, and garbage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from operator_core.call_failures import CallFailure, FailureKind, GarbageError
from operator_core.errors import SubjectUnreachableError
from operator_patroni.client import PatroniClient
from operator_patroni.model import Member, Model, model_of
from operator_patroni.observation import observe
from operator_patroni.shapes import Config
from operator_patroni.survey import survey
from operator_patroni.transport import MAX_ANSWER_BYTES
from patroni_api import FakeCluster
from patroni_samples import LEADER, NOW, SECOND, THIRD, broken, look, url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import respx

    from operator_core.monitor.types import Observation


class FixedClock:
    """A clock that stands still."""

    def now(self) -> Any:  # noqa: ANN401 - a moment
        return NOW

    async def sleep(self, seconds: float) -> None:
        del seconds


@pytest.fixture
def fake(respx_mock: respx.Router) -> FakeCluster:
    return FakeCluster(respx_mock)


@pytest.fixture
async def client(fake: FakeCluster) -> AsyncIterator[PatroniClient]:
    made = PatroniClient([url("pg1")])
    yield made
    await made.close()


async def seen_by(client: PatroniClient) -> Observation:
    return await observe(client, FixedClock(), "shop")


async def test_one_address_leads_to_all_members(fake: FakeCluster, client: PatroniClient) -> None:
    seen = await seen_by(client)
    assert seen.complete
    assert broken(seen) == []
    assert sorted(seen.data("members")["members"]) == ["pg1", "pg2", "pg3"]
    assert seen.data("nodes")["primaries"] == ["pg1"]
    assert seen.data("cluster")["candidates"] == ["pg2", "pg3"]
    assert seen.data("dcs")["seen_by"] == ["pg1", "pg2", "pg3"]
    assert (seen.data("history")["changes"], seen.data("history")["last_leader"]) == (1, None)
    fake.silence("pg1")
    assert broken(await seen_by(client)) == ["member_down:member-pg1"]


async def test_a_member_that_the_dcs_has_forgotten_is_missed(fake: FakeCluster) -> None:
    client = PatroniClient(fake.endpoints)
    try:
        await seen_by(client)
        fake.silence("pg3")
        del fake.seats["pg3"]
        assert "member_down:member-pg3" in broken(await seen_by(client))
    finally:
        await client.close()
    client = PatroniClient([url("pg1"), url("pg3")])
    try:
        assert f"member_down:member-{url('pg3')}" in broken(await seen_by(client))
    finally:
        await client.close()


async def test_version_2_and_its_words_are_read(fake: FakeCluster, client: PatroniClient) -> None:
    old = {"version": "2.1.4", "scope": "shop"}
    for name in fake.seats:
        node = fake.seats[name].node() | {"patroni": old}
        node.pop("replication_state", None)
        if name == "pg1":
            links = [{"application_name": one, "state": "streaming"} for one in ("pg2", "pg3")]
            node |= {"role": "master", "replication": links}
        fake.pages[name, "/patroni"] = node
        fake.set(name, state="running")
    fake.set("pg3", lag="unknown")
    seen = await seen_by(client)
    assert seen.data("nodes")["primaries"] == ["pg1"]
    assert broken(seen) == []
    assert seen.data("cluster")["streaming"] == ["pg2", "pg3"]
    assert seen.data("cluster")["unfit"] == {"pg3": "nobody knows how far it is behind"}


async def test_without_a_dcs_the_members_still_speak_for_themselves(
    fake: FakeCluster, client: PatroniClient
) -> None:
    await seen_by(client)
    for name in fake.seats:
        fake.pages[name, "/cluster"] = httpx.RemoteProtocolError("Server disconnected")
    seen = await seen_by(client)
    assert broken(seen) == ["dcs_unreachable:cluster"]
    parts = {name for name, part in seen.parts.items() if not part.complete}
    assert parts == {"members", "config", "history", "cluster"}
    assert "cut" in str(seen.parts["members"].error)


async def test_members_that_name_different_leaders_are_doubted(
    fake: FakeCluster, client: PatroniClient
) -> None:
    other = [one.listed() for one in fake.seats.values()]
    other[0]["role"], other[1]["role"] = "replica", "leader"
    fake.pages["pg3", "/cluster"] = {"members": other, "scope": "shop"}
    seen = await seen_by(client)
    doubtful = {name for name, part in seen.parts.items() if not part.agrees}
    assert doubtful == {"members", "config", "cluster"}


async def test_two_primaries_are_doubted(fake: FakeCluster, client: PatroniClient) -> None:
    fake.set("pg2", own_role="primary")
    assert not (await seen_by(client)).parts["cluster"].agrees


async def test_the_next_member_tells_the_settings(fake: FakeCluster) -> None:
    client = PatroniClient(fake.endpoints)
    fake.pages["pg1", "/config"] = (503, "")
    fake.pages["pg1", "/history"] = {"not": "a list"}
    try:
        seen = await seen_by(client)
        assert seen.complete
        for name in fake.seats:
            fake.pages[name, "/config"] = "garbage"
        seen = await seen_by(client)
    finally:
        await client.close()
    assert not seen.parts["config"].complete
    assert model_of(seen) is None


GARBAGE: list[tuple[object, FailureKind]] = [
    ("<html>a proxy</html>", FailureKind.GARBAGE),
    ({"state": None}, FailureKind.GARBAGE),
    ([], FailureKind.GARBAGE),
    ("[" * 100_000, FailureKind.GARBAGE),
    ("x" * (MAX_ANSWER_BYTES + 1), FailureKind.GARBAGE),
    ((404, "no such page"), FailureKind.REJECTED),
    (httpx.ReadTimeout("slow"), FailureKind.TIMEOUT),
    (httpx.ConnectError("no route"), FailureKind.UNREACHABLE),
    (httpx.RemoteProtocolError("illegal header"), FailureKind.GARBAGE),
]


@pytest.mark.parametrize(("answer", "kind"), GARBAGE, ids=lambda one: str(one)[:30])
async def test_garbage_is_a_member_that_does_not_answer(
    fake: FakeCluster, client: PatroniClient, answer: object, kind: FailureKind
) -> None:
    fake.pages["pg2", "/patroni"] = answer
    seen = await survey(client)
    assert seen.failures["pg2"].kind is kind


async def test_nobody_answers(fake: FakeCluster, client: PatroniClient) -> None:
    fake.pages["pg1", "/patroni"] = httpx.ConnectTimeout("slow")
    with pytest.raises(SubjectUnreachableError, match="no connection in time"):
        await seen_by(client)


async def test_members_of_two_clusters_are_no_subject(fake: FakeCluster) -> None:
    other = fake.seats["pg2"].node() | {"database_system_identifier": "42"}
    fake.pages["pg2", "/patroni"] = other
    client = PatroniClient(fake.endpoints)
    try:
        with pytest.raises(SubjectUnreachableError, match="different clusters"):
            await seen_by(client)
    finally:
        await client.close()


async def test_another_member_at_an_address_is_told(
    fake: FakeCluster, client: PatroniClient
) -> None:
    fake.pages["pg2", "/patroni"] = fake.seats["pg1"].node()
    seen = await survey(client)
    assert isinstance(seen.failures["pg2"], GarbageError)
    fake.set("pg2", more_listed={"api_url": "nonsense://"})
    assert (await survey(client)).failures["pg2"].kind is FailureKind.NO_NAME


async def test_a_failure_names_the_endpoint() -> None:
    client = PatroniClient(["http://127.0.0.1:1"])
    try:
        with pytest.raises(CallFailure, match=r"http://127.0.0.1:1: connection refused"):
            await client.node("http://127.0.0.1:1")
    finally:
        await client.close()


def test_the_facts_of_a_cluster() -> None:
    facts = look(LEADER, SECOND, THIRD).data("cluster")
    assert facts["leader"] == "pg1"
    assert (facts["spare"], facts["max_lag_bytes"], facts["paused"]) == (2, 0, False)


@pytest.mark.parametrize(
    ("mode", "asked", "quorum"),
    [(True, True, False), ("on", True, False), ("quorum", True, True), ("off", False, False)],
)
def test_synchronous_mode_is_a_word_or_a_bool(mode: object, asked: object, quorum: object) -> None:
    config = Config.model_validate({"synchronous_mode": mode})
    assert (config.is_synchronous, config.is_quorum_commit) == (asked, quorum)


def test_a_leader_that_nobody_hears_counts_until_its_key_is_gone() -> None:
    silent = Member("pg1", role="leader", reachable=False, streams=None)
    assert Model({"pg1": silent}).has_primary
    assert not Model({"pg1": Member("pg1", role="leader", state="stopped")}).has_primary
    assert not Model({}).has_primary


def test_what_is_missing_without_a_dcs_is_told_by_its_rule_alone() -> None:
    lost = look(LEADER, SECOND, THIRD, blind=("pg1", "pg2", "pg3"))
    missing = {name: one.told_by for name, one in lost.parts.items() if not one.complete}
    assert missing == dict.fromkeys(("members", "config", "cluster"), "dcs_unreachable")
    split = look(LEADER, replace(SECOND, state="running", own_role="primary"), THIRD)
    doubted = {one.told_by for one in split.parts.values() if not one.agrees}
    assert doubted == {"two_primaries"}
