"""Patroni's REST API as coroutines. Every effect names the member it goes to, and is sent once."""

import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from operator_core import plugin_settings
from operator_core.call_failures import CallFailure, FailureKind, GarbageError
from operator_core.errors import ConfigurationError, SubjectUnreachableError
from operator_core.types import JsonObject
from operator_patroni import shapes
from operator_patroni.transport import Timeouts, Transport

AnyShape = TypeVar("AnyShape", bound=shapes.Shape)


class PatroniClient:
    """The calls that Operator makes, over several members of one cluster."""

    def __init__(
        self,
        endpoints: Sequence[str],
        timeouts: Timeouts | None = None,
        tls: ssl.SSLContext | None = None,
        credentials: plugin_settings.Credentials | None = None,
    ) -> None:
        """Take the endpoints, such as ``http://10.0.0.1:8008``, in order of preference.

        Raises:
            ConfigurationError: there is no endpoint, or one is no http(s) address.
        """
        self.timeouts = timeouts or Timeouts()
        self._configured = tuple(dict.fromkeys(normal_endpoint(one) for one in endpoints))
        if not self._configured:
            raise ConfigurationError("Name at least one member of Patroni, as http://host:8008.")
        self._learnt: tuple[str, ...] = ()
        self.names: dict[str, str] = {}
        """Who was met at which endpoint."""
        self._transport = Transport(self.timeouts, tls, credentials)

    @property
    def configured(self) -> tuple[str, ...]:
        """The endpoints that a person named."""
        return self._configured

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The configured endpoints, then those that the members themselves advertise."""
        return tuple(dict.fromkeys(self._configured + self._learnt))

    def learn(self, urls: Iterable[str]) -> None:
        """Remember what members advertise, for the day the configured endpoints are down."""
        self._learnt = tuple(urls)

    def remember(self, names: Mapping[str, str]) -> None:
        """Remember who was met where, for the day when somebody there says nothing any more.

        Args:
            names: by endpoint.
        """
        self.names |= names

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    # --- reads ------------------------------------------------------------------------

    async def node(self, endpoint: str) -> shapes.Node:
        """Ask one member how it is itself; answered also without a DCS."""
        return await self._read(endpoint, "/patroni", shapes.Node)

    async def view(self, endpoint: str) -> shapes.View:
        """Ask one member what the DCS says of all; no answer where it cannot ask the DCS."""
        return await self._read(endpoint, "/cluster", shapes.View)

    async def config(self, endpoint: str) -> shapes.Config:
        """Ask one member for the dynamic configuration."""
        return await self._read(endpoint, "/config", shapes.Config)

    async def history(self, endpoint: str) -> list[list[JsonValue]]:
        """Ask one member for the changes of leadership, the oldest first."""
        told = await self._transport.read(endpoint, "/history")
        if not isinstance(told, list) or not all(isinstance(one, list) for one in told):
            raise _garbage(endpoint, "/history")
        return [one for one in told if isinstance(one, list)]

    async def _read(self, endpoint: str, path: str, shape: type[AnyShape]) -> AnyShape:
        told = await self._transport.read(endpoint, path)
        try:
            return shape.model_validate(told)
        except ValidationError:
            raise _garbage(endpoint, path) from None

    # --- effects ----------------------------------------------------------------------

    async def switchover(self, endpoint: str, leader: str, candidate: str) -> str:
        """Let the leader hand over to another member, and wait for it."""
        body = {"leader": leader, "candidate": candidate}
        return await self._move(endpoint, "/switchover", body)

    async def failover(self, endpoint: str, candidate: str) -> str:
        """Let a member take over where nobody leads, and wait for it."""
        return await self._move(endpoint, "/failover", {"candidate": candidate})

    async def restart(self, endpoint: str, *, only_if_pending: bool = False) -> str:
        """Restart the PostgreSQL of the member at this endpoint, and wait for it."""
        return await self._move(
            endpoint, "/restart", {"restart_pending": True} if only_if_pending else {}
        )

    async def reinitialize(self, endpoint: str) -> str:
        """Begin to replace the data of the replica at this endpoint by a copy of another's."""
        return await self._effect("POST", endpoint, "/reinitialize", {"force": True})

    async def reload(self, endpoint: str) -> str:
        """Let the member at this endpoint read its configuration again."""
        return await self._effect("POST", endpoint, "/reload", {})

    async def patch_config(self, endpoint: str, change: JsonObject) -> str:
        """Change the dynamic configuration; null takes a key away."""
        return await self._effect("PATCH", endpoint, "/config", change)

    async def _move(self, endpoint: str, path: str, body: JsonObject) -> str:
        seconds = self.timeouts.move_seconds
        return await self._transport.change("POST", endpoint, path, body, seconds)

    async def _effect(self, method: str, endpoint: str, path: str, body: JsonObject) -> str:
        seconds = self.timeouts.effect_seconds
        return await self._transport.change(method, endpoint, path, body, seconds)


def unreachable(failures: Iterable[CallFailure]) -> SubjectUnreachableError:
    """Return the error that says why no member could be read."""
    reasons = "; ".join(str(failure) for failure in failures)
    return SubjectUnreachableError(
        f"No member of Patroni answers ({reasons}). Check the addresses and that Patroni runs."
    )


def normal_endpoint(endpoint: str) -> str:
    """Return an endpoint without its path ``/patroni``; a bare host and port means http.

    Raises:
        ConfigurationError: it is no http(s) address.
    """
    return plugin_settings.endpoint(
        endpoint, "is no address of Patroni. Write it as http://host:8008.", {"patroni"}
    )


def usable_endpoint(url: str) -> str | None:
    """Return an address that a member advertises as an endpoint, None where it is none."""
    try:
        return normal_endpoint(url)
    except ConfigurationError:
        return None


def _garbage(endpoint: str, path: str) -> GarbageError:
    return GarbageError(
        endpoint, FailureKind.GARBAGE, f"{path} gave an answer Patroni does not give"
    )
