"""etcd's v3 JSON gateway as coroutines. Every effect names the endpoint it goes to.

Reads may be repeated and so are tried once more after a cut connection. Effects are sent
once: whether to send one again is for the engine to decide.
"""

import base64
import ssl
from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from operator_core import plugin_settings
from operator_core.call_failures import CallFailure, FailureKind, GarbageError, RejectedError
from operator_core.clock import monotonic_seconds
from operator_core.errors import ConfigurationError, SubjectUnreachableError
from operator_core.types import JsonObject
from operator_etcd import shapes
from operator_etcd.login import Login
from operator_etcd.transport import Timeouts, Transport

AnyShape = TypeVar("AnyShape", bound=shapes.Shape)

_ALL_KEYS = base64.b64encode(b"\0").decode()
_COMPACTED = "has been compacted"


class EtcdClient:
    """The calls that Operator makes, over several endpoints of one cluster."""

    def __init__(
        self,
        endpoints: Sequence[str],
        timeouts: Timeouts | None = None,
        tls: ssl.SSLContext | None = None,
        login: Login | None = None,
    ) -> None:
        """Take the endpoints, such as ``http://10.0.0.1:2379``, in order of preference.

        Args:
            endpoints: at least one.
            timeouts: how long to wait.
            tls: for https endpoints.
            login: who Operator is, where etcd asks for it.

        Raises:
            ConfigurationError: there is no endpoint, or one is no http(s) address.
        """
        self.timeouts = timeouts or Timeouts()
        self._configured = tuple(dict.fromkeys(normal_endpoint(one) for one in endpoints))
        if not self._configured:
            raise ConfigurationError("Name at least one etcd endpoint, such as http://host:2379.")
        self._learnt: tuple[str, ...] = ()
        self._transport = Transport(self.timeouts, tls, login)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The configured endpoints, then those that the members themselves advertise."""
        return tuple(dict.fromkeys(self._configured + self._learnt))

    @property
    def configured(self) -> tuple[str, ...]:
        """The endpoints that a person named."""
        return self._configured

    def learn(self, urls: Iterable[str]) -> None:
        """Remember what members advertise, for the day the configured endpoints are down."""
        self._learnt = tuple(urls)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    # --- reads ------------------------------------------------------------------------

    async def status(self, endpoint: str) -> shapes.MemberStatus:
        """Ask one member for its status."""
        started = monotonic_seconds()
        status = await self._read(endpoint, "/v3/maintenance/status", {}, shapes.MemberStatus)
        latency = round(monotonic_seconds() - started, 4)
        end = self._transport.certificates.end_of(endpoint)
        return status.model_copy(update={"latency_seconds": latency, "certificate_end": end})

    async def member_list(self, endpoint: str) -> list[shapes.Member]:
        """Ask one member who belongs to the cluster; answered also without a leader."""
        path = "/v3/cluster/member/list"
        return (await self._read(endpoint, path, {}, shapes.MemberList)).members

    async def alarms(self, endpoint: str) -> list[shapes.Alarm]:
        """Ask which alarms are raised; the answer needs a leader."""
        body = {"action": "GET"}
        listed = await self._read(endpoint, "/v3/maintenance/alarm", body, shapes.AlarmList)
        return [one for one in listed.alarms if one.alarm != "NONE"]

    async def key_count(self, endpoint: str, revision: int = 0) -> int:
        """Count the keys as one member has them. Walks the whole index: not for every look.

        Args:
            endpoint: the member.
            revision: as they were then, unless it is compacted; 0: as they are.

        Raises:
            CallFailure: it did not say it.
        """
        body: JsonObject = {
            "key": _ALL_KEYS,
            "range_end": _ALL_KEYS,
            "revision": str(revision),
            "count_only": True,
            "serializable": True,
        }
        return (await self._read(endpoint, "/v3/kv/range", body, shapes.Counted)).count

    async def is_compacted(self, endpoint: str, revision: int) -> bool:
        """Return whether history before a revision is gone: reading just before it fails."""
        body = {"key": _ALL_KEYS, "revision": str(revision - 1), "serializable": True}
        try:
            await self._read(endpoint, "/v3/kv/range", body, shapes.Counted)
        except RejectedError as error:
            if _COMPACTED in error.reason:
                return True
            raise
        return False

    async def health(self, endpoint: str) -> shapes.Health:
        """Ask one member for its health; also an unhealthy one answers."""
        answer = await self._transport.get(endpoint, "/health")
        try:
            return shapes.Health.model_validate_json(answer.text)
        except ValidationError:
            raise _garbage(endpoint, "/health") from None

    async def metrics(self, endpoint: str) -> dict[str, int | float]:
        """Read the metrics of one member that rules and diagnoses use."""
        answer = await self._transport.get(endpoint, "/metrics")
        try:
            return shapes.parse_metrics(answer.text)
        except ValueError:
            raise _garbage(endpoint, "/metrics") from None

    # --- effects ----------------------------------------------------------------------

    async def put(self, endpoint: str, key: bytes, value: bytes) -> None:
        """Write one key."""
        body = {"key": base64.b64encode(key).decode(), "value": base64.b64encode(value).decode()}
        await self._effect(endpoint, "/v3/kv/put", body)

    async def get(self, endpoint: str, key: bytes) -> bytes | None:
        """Read one key through the leader, None where it is not there."""
        body = {"key": base64.b64encode(key).decode()}
        answer = await self._transport.post(endpoint, "/v3/kv/range", body)
        try:
            found = answer.get("kvs") or []
            return base64.b64decode(found[0].get("value", ""), validate=True) if found else None
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _garbage(endpoint, "/v3/kv/range") from None

    async def delete_below(self, endpoint: str, prefix: bytes) -> None:
        """Delete every key that begins with a prefix; their history stays until a compaction."""
        after = prefix[:-1] + bytes([prefix[-1] + 1])
        body = {
            "key": base64.b64encode(prefix).decode(),
            "range_end": base64.b64encode(after).decode(),
        }
        await self._effect(endpoint, "/v3/kv/deleterange", body)

    async def compact(self, endpoint: str, revision: int) -> bool:
        """Drop the history before a revision; False where it was dropped already."""
        body = {"revision": str(revision), "physical": True}
        try:
            await self._maintain(endpoint, "/v3/kv/compaction", body)
        except RejectedError as error:
            if _COMPACTED in error.reason:
                return False
            raise
        return True

    async def defragment(self, endpoint: str) -> None:
        """Rewrite the database of the member at this endpoint; it serves nothing meanwhile."""
        await self._maintain(endpoint, "/v3/maintenance/defragment", {})

    async def disarm(self, endpoint: str, member_id: str, alarm: str) -> None:
        """Disarm one member's alarm. etcd answers 200 also where there is none."""
        body = {"action": "DEACTIVATE", "memberID": member_id, "alarm": alarm}
        await self._effect(endpoint, "/v3/maintenance/alarm", body)

    async def arm(self, endpoint: str, member_id: str, alarm: str) -> None:
        """Raise an alarm in a member's name, as the lab does; nothing else of Operator may."""
        body = {"action": "ACTIVATE", "memberID": member_id, "alarm": alarm}
        await self._effect(endpoint, "/v3/maintenance/alarm", body)

    async def move_leader(self, leader_endpoint: str, target_id: str) -> None:
        """Hand the leadership over; only the leader itself accepts this call."""
        body = {"targetID": target_id}
        await self._effect(leader_endpoint, "/v3/maintenance/transfer-leadership", body)

    async def add_learner(self, endpoint: str, peer_url: str) -> shapes.Added:
        """Add a member without a vote."""
        path = "/v3/cluster/member/add"
        answer = await self._effect(endpoint, path, {"peerURLs": [peer_url], "isLearner": True})
        return _shaped(endpoint, path, answer, shapes.Added)

    async def promote(self, endpoint: str, member_id: str) -> None:
        """Give a learner its vote."""
        await self._effect(endpoint, "/v3/cluster/member/promote", {"ID": member_id})

    async def remove(self, endpoint: str, member_id: str) -> None:
        """Take a member out of the cluster for good."""
        await self._effect(endpoint, "/v3/cluster/member/remove", {"ID": member_id})

    async def _read(
        self, endpoint: str, path: str, body: JsonObject, shape: type[AnyShape]
    ) -> AnyShape:
        try:
            answer = await self._transport.post(endpoint, path, body)
        except CallFailure as error:
            if error.kind is not FailureKind.RESET:
                raise
            # A connection kept open to a process that is gone says nothing of the present.
            answer = await self._transport.post(endpoint, path, body)
        return _shaped(endpoint, path, answer, shape)

    async def _effect(self, endpoint: str, path: str, body: JsonObject) -> JsonObject:
        seconds = self.timeouts.effect_seconds
        return await self._transport.post(endpoint, path, body, read_seconds=seconds)

    async def _maintain(self, endpoint: str, path: str, body: JsonObject) -> None:
        seconds = self.timeouts.maintenance_seconds
        await self._transport.post(endpoint, path, body, read_seconds=seconds)


def unreachable(failures: Iterable[CallFailure]) -> SubjectUnreachableError:
    """Return the error that says why no endpoint could be read."""
    reasons = "; ".join(str(failure) for failure in failures)
    return SubjectUnreachableError(
        f"No etcd endpoint answers ({reasons}). Check the addresses and that etcd runs."
    )


def normal_endpoint(endpoint: str) -> str:
    """Return an endpoint without its last slash; a bare host and port means http.

    Raises:
        ConfigurationError: it is no http(s) address.
    """
    return plugin_settings.endpoint(
        endpoint, "is no etcd endpoint. Write it as http://host:2379 or https://host:2379."
    )


def _shaped(endpoint: str, path: str, answer: JsonObject, shape: type[AnyShape]) -> AnyShape:
    try:
        return shape.model_validate(answer)
    except ValidationError:
        raise _garbage(endpoint, path) from None


def _garbage(endpoint: str, path: str) -> GarbageError:
    return GarbageError(endpoint, FailureKind.GARBAGE, f"{path} gave an answer etcd does not give")
