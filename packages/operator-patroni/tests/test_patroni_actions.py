"""The actions: checked, sent once, waited for, and told apart where no answer came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from operator_core.errors import ActionFailedError, ActionRefusedError, OutcomeUnknownError
from operator_core.subject import ActionCall, ProbeAnswer
from operator_patroni.client import PatroniClient
from operator_patroni.subject import PatroniSubject
from patroni_api import FakeCluster
from patroni_samples import LEADER, MIB, SECOND, THIRD, Seat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import respx

HAPPENED, NOT_HAPPENED = ProbeAnswer.HAPPENED, ProbeAnswer.NOT_HAPPENED
UNKNOWN = ProbeAnswer.UNKNOWN
LOST = Seat("pg1", state="stopped", lag="unknown", timeline=None)


@pytest.fixture
def fake(respx_mock: respx.Router) -> FakeCluster:
    return FakeCluster(respx_mock)


@pytest.fixture
async def subject(fake: FakeCluster) -> AsyncIterator[PatroniSubject]:
    made = PatroniSubject(PatroniClient(fake.endpoints), settle_seconds=0.0)
    yield made
    await made.close()


def call(action_name: str, **parameters: object) -> ActionCall:
    return ActionCall(action_name, dict(parameters), "key")


async def perform(subject: PatroniSubject, action_name: str, **given: object) -> dict[str, Any]:
    done = await subject.perform(call(action_name, **given))
    assert isinstance(done, dict)
    return done


async def test_a_switchover_names_the_leader_and_says_what_undoes_it(
    fake: FakeCluster, subject: PatroniSubject
) -> None:
    move = call("switchover", candidate="pg2")
    assert await subject.probe(move) is NOT_HAPPENED
    done = await perform(subject, "switchover", candidate="pg2")
    assert fake.sent == [("POST", "pg1", "/switchover", {"leader": "pg1", "candidate": "pg2"})]
    assert done["undo"] == {"candidate": "pg1"}
    assert await subject.probe(move) is HAPPENED
    again = await perform(subject, "switchover", candidate="pg2")
    assert again == {"changed": False, "leader": "pg2"}
    assert len(fake.sent) == 1


async def test_a_failover_is_only_for_a_cluster_without_a_leader(
    fake: FakeCluster, subject: PatroniSubject
) -> None:
    with pytest.raises(ActionFailedError, match="that is a switchover"):
        await subject.failover("pg2")
    fake.seats["pg1"] = LOST
    fake.set("pg3", lag=3 * MIB)
    with pytest.raises(ActionFailedError, match="3145728 bytes behind"):
        await subject.failover("pg3")
    assert fake.sent == []
    assert await subject.probe(call("failover", candidate="pg2")) is UNKNOWN
    assert (await perform(subject, "failover", candidate="pg2"))["leader_after"] == "pg2"
    assert await subject.probe(call("failover", candidate="pg2")) is HAPPENED
    assert (await subject.failover("pg2"))["changed"] is False


async def test_a_member_is_restarted_where_there_is_something_to_do(
    fake: FakeCluster, subject: PatroniSubject
) -> None:
    assert (await subject.restart_member("pg2", only_if_down=True))["changed"] is False
    assert (await subject.restart_member("pg2", only_if_pending=True))["changed"] is False
    fake.set("pg2", state="stopped", lag="unknown")
    down = call("restart_member", member_name="pg2", only_if_down=True)
    assert await subject.probe(down) is NOT_HAPPENED
    done = await subject.restart_member("pg2", only_if_down=True)
    assert (done["state_before"], done["state_after"]) == ("stopped", "streaming")
    assert await subject.probe(down) is HAPPENED
    assert await subject.probe(call("restart_member", member_name="pg2")) is UNKNOWN
    fake.set("pg3", pending_restart=True)
    pending = call("restart_member", member_name="pg3", only_if_pending=True)
    assert await subject.probe(pending) is NOT_HAPPENED
    await subject.perform(pending)
    assert fake.sent[-1] == ("POST", "pg3", "/restart", {"restart_pending": True})
    assert await subject.probe(pending) is HAPPENED


async def test_a_member_that_patroni_is_at_work_on_is_waited_for(
    fake: FakeCluster, subject: PatroniSubject
) -> None:
    busy = (503, "running pg_rewind from pg1 already in progress")
    fake.set("pg2", state="stopped", lag="unknown")
    fake.effects["/restart"] = busy
    with pytest.raises(ActionFailedError, match="running pg_rewind from pg1"):
        await subject.restart_member("pg2", only_if_down=True)

    def rewound() -> object:
        fake.set("pg2", state="streaming", lag=0)
        return busy

    fake.effects["/restart"] = rewound
    done = await subject.restart_member("pg2", only_if_down=True)
    assert done == {"changed": False, "state": "streaming", "patroni": busy[1]}
    with pytest.raises(ActionFailedError, match="running pg_rewind from pg1"):
        await subject.restart_member("pg2")


async def test_a_replica_is_copied_anew_and_the_leader_never(
    fake: FakeCluster, subject: PatroniSubject
) -> None:
    with pytest.raises(ActionFailedError, match="pg1 leads"):
        await subject.reinitialize_member("pg1")
    fake.set("pg2", state="start failed", lag="unknown")
    copy = call("reinitialize_member", member_name="pg2")
    assert await subject.probe(copy) is NOT_HAPPENED
    done = await subject.reinitialize_member("pg2")
    assert (done["state_before"], done["state_after"]) == ("start failed", "streaming")
    assert await subject.probe(copy) is UNKNOWN
    fake.set("pg2", state="creating replica")
    assert await subject.probe(copy) is HAPPENED
    fake.set("pg2", state="streaming", lag=0)
    fake.set("pg3", state="stopped", lag="unknown")
    with pytest.raises(ActionFailedError, match="only one that could take over"):
        await subject.reinitialize_member("pg2")


async def test_a_copy_that_takes_long_goes_on_by_itself(
    fake: FakeCluster, subject: PatroniSubject
) -> None:
    fake.set("pg2", state="start failed", lag="unknown")
    fake.effects["/reinitialize"] = lambda: fake.set("pg2", state="creating replica")
    assert (await subject.reinitialize_member("pg2"))["state_after"] == "creating replica"


async def test_a_pause_is_an_effect_that_is_seen_and_taken_back(
    fake: FakeCluster, subject: PatroniSubject
) -> None:
    assert subject.temporary_effects(await subject.observe()) == []
    assert await subject.probe(call("pause_cluster")) is NOT_HAPPENED
    assert (await subject.pause_cluster())["changed"] is True
    assert subject.temporary_effects(await subject.observe()) == ["paused-failover/cluster"]
    assert await subject.probe(call("pause_cluster")) is HAPPENED
    assert (await subject.pause_cluster())["changed"] is False
    assert await subject.probe(call("resume_cluster")) is NOT_HAPPENED
    assert (await subject.resume_cluster())["paused"] is False
    assert await subject.probe(call("resume_cluster")) is HAPPENED
    assert [body for *_, body in fake.sent] == [{"pause": True}, {"pause": None}]
    for name in fake.seats:
        fake.pages[name, "/cluster"] = httpx.RemoteProtocolError("disconnected")
    assert subject.temporary_effects(await subject.observe()) is None


async def test_a_setting_is_changed_within_what_patroni_keeps_to(
    fake: FakeCluster, subject: PatroniSubject
) -> None:
    done = await subject.set_config("ttl", 60)
    assert done["undo"] == {"key": "ttl", "value": 30}
    assert await subject.probe(call("set_config", key="ttl", value=60)) is HAPPENED
    assert await subject.probe(call("set_config", key="ttl", value=30)) is NOT_HAPPENED
    assert (await subject.set_config("ttl", 60))["changed"] is False
    for key, value in (("ttl", 21), ("loop_wait", 0), ("pg_hba", 1)):
        with pytest.raises(ActionRefusedError):
            await subject.set_config(key, value)
    assert len(fake.sent) == 1


async def test_a_reload_is_sent_to_its_member(fake: FakeCluster, subject: PatroniSubject) -> None:
    assert await subject.reload_member("pg3") == {"changed": True, "patroni": "done"}
    assert fake.sent == [("POST", "pg3", "/reload", {})]
    assert await subject.probe(call("reload_member", member_name="pg3")) is UNKNOWN


ANSWERS: list[tuple[object, type[Exception], str]] = [
    ((412, "no good candidates have been found"), ActionFailedError, "no good candidates"),
    ((503, "Switchover failed"), ActionFailedError, "Switchover failed"),
    ((503, "Switchover status unknown"), OutcomeUnknownError, "status unknown"),
    ((400, "Switchover target and source are the same"), ActionRefusedError, "are the same"),
    ((401, "no auth header received"), ActionRefusedError, "username and password_file"),
    ((403, ""), ActionRefusedError, "username and password_file"),
    ((500, "oops"), OutcomeUnknownError, "HTTP status 500"),
    ((302, "elsewhere"), OutcomeUnknownError, "HTTP status 302"),
    (httpx.ReadTimeout("slow"), OutcomeUnknownError, "no answer in time"),
    (httpx.RemoteProtocolError("Server disconnected"), OutcomeUnknownError, "was cut"),
    (httpx.ConnectTimeout("slow"), ActionFailedError, "no connection in time"),
]


@pytest.mark.parametrize(("answer", "error", "words"), ANSWERS)
async def test_what_an_answer_says_of_the_effect(
    fake: FakeCluster,
    subject: PatroniSubject,
    answer: object,
    error: type[Exception],
    words: str,
) -> None:
    fake.effects["/switchover"] = answer
    with pytest.raises(error, match=words):
        await subject.switchover("pg2")
    assert len(fake.sent) == 1, "an effect is sent once"


async def test_an_effect_that_is_not_seen_is_in_doubt(
    fake: FakeCluster, subject: PatroniSubject
) -> None:
    fake.effects["/switchover"] = (200, 'Switched over to "pg3" instead of "pg2"')
    with pytest.raises(OutcomeUnknownError, match="not seen"):
        await subject.switchover("pg2")


async def test_nothing_is_done_blind(fake: FakeCluster, subject: PatroniSubject) -> None:
    for name in fake.seats:
        fake.pages[name, "/cluster"] = httpx.RemoteProtocolError("disconnected")
    with pytest.raises(ActionFailedError, match="Nothing was done: no member that answers"):
        await subject.switchover("pg2")
    assert await subject.probe(call("switchover", candidate="pg2")) is UNKNOWN
    other = [one.listed() | {"role": "replica"} for one in (LEADER, SECOND, THIRD)]
    fake.pages = {("pg3", "/cluster"): {"members": other, "scope": "shop"}}
    with pytest.raises(ActionFailedError, match="name different leaders"):
        await subject.switchover("pg2")
    for name in fake.seats:
        fake.silence(name)
    with pytest.raises(ActionFailedError, match="No member of Patroni answers"):
        await subject.pause_cluster()
    assert fake.sent == []


async def test_an_unknown_action_has_no_probe(fake: FakeCluster, subject: PatroniSubject) -> None:
    assert await subject.probe(call("unheard_of")) is UNKNOWN
